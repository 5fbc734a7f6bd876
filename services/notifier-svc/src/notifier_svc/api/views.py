"""Deliveries as they are shown."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, TypeAdapter
from sqlalchemy import Select, and_, select

from notifier_svc import tables as t
from notifier_svc.api.wiring import example
from notifier_svc.rendering import PaymentInfo
from notifier_svc.touches import TouchBody
from remit_events.schedule import Demand, Item

ID = "0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"
_ITEMS = TypeAdapter(tuple[Item, ...])


class ItemOut(BaseModel):
    """One invoice of a message and what was asked for; minor units."""

    invoice_id: UUID
    number: str
    amount_minor: int
    currency: str
    step: str
    days_overdue: int
    due_date: date | None

    @classmethod
    def of(cls, item: Item) -> Self:
        return cls(
            invoice_id=item.invoice.id,
            number=item.invoice.number,
            amount_minor=item.amount_minor,
            currency=item.invoice.currency,
            step=item.step,
            days_overdue=item.days_overdue,
            due_date=item.invoice.due_date,
        )


class NoteOut(BaseModel):
    """A channel the touch could not use."""

    channel: str
    why: str


class DeliveryOut(BaseModel):
    """A touch on one channel to one address. `held_by` says what a pending one waits for.

    With `next_attempt_at` as the moment, and its channel, it is what `POST /v1/templates/preview` takes.
    """

    model_config = example(
        id=ID,
        touch_id=ID,
        status="sent",
        channel="email",
        stage="overdue",
        step="second",
        tone="neutral",
        language="en",
        subject="Reminder: invoice R-1042 over €119.00 is 10 days overdue",
        customer_id=ID,
        customer_external_id="C-17",
        customer_name="Muster & Söhne",
        recipient="ap@muster.example",
        items=[{"invoice_id": ID, "number": "R-1042", "amount_minor": 11900, "currency": "EUR", "step": "second"}],
        template="second",
        notes=[],
        provider="smtp",
        provider_id="Ok: queued as 4Xy",
        attempts=1,
        sent_at="2026-03-02T10:00:00Z",
    )

    id: UUID
    touch_id: UUID
    status: str
    channel: str
    stage: str
    step: str
    tone: str | None
    language: str | None
    subject: str | None
    template: str
    demand: Demand | None
    payment: PaymentInfo | None
    customer_id: UUID
    customer_external_id: str
    customer_name: str
    recipient: str
    items: list[ItemOut]
    notes: list[NoteOut]
    provider: str | None
    provider_id: str | None
    provider_status: str | None
    message_id: str
    attempts: int
    error_class: str | None
    error: str | None
    held_by: str | None
    note: str | None
    created_at: datetime
    next_attempt_at: datetime | None
    valid_until: datetime
    checked_at: datetime | None
    sending_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    updated_at: datetime

    @classmethod
    def of(cls, row: Any) -> Self:
        given = dict(row._mapping)
        said = given.pop("said")
        body = TouchBody.model_validate(given["body"])
        items = _ITEMS.validate_python(said) if said is not None else body.items
        given["message_id"] = f"<{given['message_id']}>"
        given |= {"template": body.template, "demand": body.demand, "payment": body.payment}
        fields = {name: value for name, value in given.items() if name in cls.model_fields}
        return cls(**fields | {"items": [ItemOut.of(item) for item in items]})


def deliveries() -> Select[Any]:
    """Deliveries with their touch, customer and content, if they have any yet."""
    d, touch, content, customer = t.delivery.c, t.touch.c, t.content.c, t.customer.c
    own = [column for column in d if column.name not in ("seller_id", "recipient_sha256", "digest", "worker")]
    joined = t.delivery.join(t.touch, touch.id == d.touch_id).join(t.customer, customer.id == d.customer_id)
    joined = joined.outerjoin(t.content, and_(content.touch_id == d.touch_id, content.digest == d.digest))
    return select(
        *own,
        touch.stage,
        touch.step,
        touch.tone,
        touch.body,
        touch.notes,
        touch.held_by,
        touch.valid_until,
        content.language,
        content.subject,
        content["items"].label("said"),
        customer.snapshot["external_id"].astext.label("customer_external_id"),
        customer.snapshot["name"].astext.label("customer_name"),
    ).select_from(joined)
