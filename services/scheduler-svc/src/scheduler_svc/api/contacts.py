"""`/v1/contacts`: a call or letter made by hand counts for gap and cap like a message does."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import select

from remit_events.session import Session
from remit_events.state import CustomerState
from remit_service.api import Body, Listing, Now, PageDep, Router, SessionDep, paginate, problem_responses
from remit_service.bulk import fetch, insert_rows, new_id
from remit_service.problems import invalid, not_found
from remit_service.validation import Text
from scheduler_svc import tables as t
from scheduler_svc.api.wiring import ID, CustomerQuery, Reader, Writer, example, of_customer
from scheduler_svc.days import today_of

router = Router(prefix="/v1/contacts", tags=["contacts"])

Channel = Literal["phone", "letter", "email", "sms", "visit"]
OLDEST = timedelta(days=366)
_ADDRESS = {"phone": "sms:", "sms": "sms:", "email": "email:"}  # one number, one mailbox
_LOCK = """
SELECT id, snapshot, addresses FROM customer WHERE seller_id = :seller AND snapshot IS NOT NULL
AND (id = :id OR external_id = :external_id) FOR UPDATE
"""


class NewContact(Body):
    """Who was contacted, how, and on which day at their place; name the customer by `customer_id` or your own id."""

    model_config = example(customer_external_id="C-17", on="2026-03-09", channel="phone", note="Promised to check.")

    customer_id: UUID | None = None
    customer_external_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    on: date | None = Field(default=None, description="By default today at the customer's place.")
    channel: Channel
    note: Text(1000, lines=True) | None = None  # type: ignore[valid-type]


class ContactOut(BaseModel):
    """What counts for gap and cap. `kind`: made by hand (`manual`), or a message (`touch`)."""

    model_config = example(
        id=ID,
        customer_id=ID,
        on="2026-03-09",
        kind="manual",
        channel="phone",
        note="Promised to check.",
        touch_id=None,
        recorded_at="2026-03-09T10:12:00Z",
    )

    id: UUID
    customer_id: UUID
    on: date
    kind: Literal["manual", "touch"]
    channel: Channel | None
    note: str | None
    touch_id: UUID | None
    recorded_at: datetime


@router.get("", summary="List contacts made by hand", responses=problem_responses(401, 403, 422))
async def list_contacts(
    session: SessionDep,
    caller: Reader,
    page: PageDep,
    customer: CustomerQuery = None,
    updated_since: Annotated[AwareDatetime | None, Query(description="Only what was recorded since.")] = None,
) -> Listing[ContactOut]:
    c = t.contact.c
    columns = (c.id, c.customer_id, c.on_date.label("on"), c.kind, c.channel, c.note, c.touch_id, c.recorded_at)
    chosen = select(*columns).where(c.seller_id == caller.seller_id)
    if customer is not None:
        chosen = chosen.where(of_customer(c.customer_id, caller.seller_id, customer))
    if updated_since is not None:
        chosen = chosen.where(c.recorded_at >= updated_since)
    rows, next_cursor = await paginate(session, chosen, page, c.id)
    return Listing(data=[ContactOut.model_validate(dict(row._mapping)) for row in rows], next_cursor=next_cursor)


@router.post(
    "", summary="Record a contact made by hand", status_code=201, responses=problem_responses(401, 403, 404, 409, 422)
)
async def add_contact(body: NewContact, session: SessionDep, caller: Writer, now: Now) -> ContactOut:
    """Records a contact made by hand: reminders keep their distance from it."""
    if (body.customer_id is None) == (body.customer_external_id is None):
        detail = "Name the customer by either `customer_id` or `customer_external_id`."
        raise invalid("/customer_id", "one-of", detail, body.customer_id)
    customer_id, state, addresses = await _customer(session, caller.seller_id, body)
    today = today_of(state, now)
    on = body.on or today
    if not today - OLDEST <= on <= today:
        detail = "A contact is recorded on its day or up to a year later; give a date that has been."
        raise invalid("/on", "not-past", detail, on.isoformat())
    prefix = _ADDRESS.get(body.channel)
    row = {
        "id": new_id(),
        "seller_id": caller.seller_id,
        "customer_id": customer_id,
        "on_date": on,
        "kind": "manual",
        "channel": body.channel,
        "note": body.note,
        "addresses": [one for one in addresses if prefix and one.startswith(prefix)],
        "recorded_at": now,
    }
    await insert_rows(session, t.contact, [row])
    return ContactOut(
        id=row["id"],
        customer_id=customer_id,
        on=on,
        kind="manual",
        channel=body.channel,
        note=body.note,
        touch_id=None,
        recorded_at=now,
    )


async def _customer(session: Session, seller: UUID, body: NewContact) -> tuple[UUID, CustomerState, list[str]]:
    """Locked, so that the sweep counts this contact or has sent before it."""
    values = {"id": body.customer_id, "external_id": body.customer_external_id}
    rows = await fetch(session, _LOCK, seller=seller, **values)
    if not rows:
        raise not_found("customer", body.customer_id or body.customer_external_id)
    (row,) = rows
    return row.id, CustomerState.model_validate(row.snapshot), row.addresses
