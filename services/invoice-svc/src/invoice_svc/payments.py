"""Payments: money recorded once per provider and reference, where it was put, and taking it back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select

from invoice_svc import customers, days, invoices, promises
from invoice_svc.allocation import Split
from invoice_svc.invoices import Invoice
from invoice_svc.tables import allocation, payment
from remit_events.envelope import Event
from remit_events.invoices import Allocation, PaymentReceived, PaymentReversed
from remit_events.outbox import emit
from remit_events.session import Session
from remit_service.bulk import fetch, insert_objects, insert_rows, records, update_objects
from remit_service.problems import conflict, invalid, not_found

_ALLOCATIONS = """
SELECT a.payment_id, a.invoice_id, i.number, a.amount_minor, a.balance_after_minor
FROM allocation AS a JOIN invoice AS i ON i.id = a.invoice_id
WHERE a.payment_id = ANY(CAST(:ids AS uuid[])) ORDER BY a.payment_id, a.position
"""


@dataclass(frozen=True, slots=True)
class Part:
    """What a payment put to one invoice, and what was owed on it right after."""

    invoice_id: UUID
    number: str
    amount_minor: int
    balance_after_minor: int


@dataclass(slots=True, kw_only=True)
class Payment:
    """One payment of one customer in one currency; its parts and credit sum to its amount."""

    id: UUID
    seller_id: UUID
    customer_id: UUID
    provider: str
    reference: str
    external_id: str | None
    currency: str
    amount_minor: int
    credit_minor: int
    received_on: date
    created_at: datetime
    updated_at: datetime
    status: str = "received"
    reversed_on: date | None = None
    reversal_reason: str | None = None
    parts: tuple[Part, ...] = field(default=())

    def put(self, split: Split, held: Mapping[UUID, Invoice], now: datetime) -> list[Event]:
        """Puts the money to the invoices; gives PaymentReceived and what followed from it."""
        parts, after = list[Part](), list[Event]()
        for share in split.shares:
            one = held[share.invoice_id]
            one.receive(share.amount_minor, now)
            after += one.after_payment(self.id, self.received_on)
            parts.append(Part(one.id, str(one.number), share.amount_minor, one.balance_minor))
        self.parts, self.credit_minor = tuple(parts), split.credit_minor
        return [PaymentReceived(**self._about(held, sign=1)), *after]

    def take_back(
        self, held: Mapping[UUID, Invoice], promised: Mapping[UUID, datetime], reason: str, on: date, now: datetime
    ) -> PaymentReversed:
        """Charge-back or bounced debit: what it paid is owed again. 409 when that was done before.

        `promised` says per invoice when its running promise was made.
        """
        if self.status == "reversed":
            detail = f"Payment {self.reference} was reversed on {self.reversed_on}; there is nothing left to take back."
            raise conflict("payment-reversed", detail)
        self.status, self.reversed_on, self.reversal_reason, self.updated_at = "reversed", on, reason, now
        for part in self.parts:
            held[part.invoice_id].take_back(part.amount_minor, self.created_at, promised.get(part.invoice_id), now)
        about = self._about(held, sign=-1) | {"received_on": on}
        return PaymentReversed(**about, reason=reason)

    def _about(self, held: Mapping[UUID, Invoice], *, sign: int) -> dict[str, Any]:
        return {
            "seller_id": self.seller_id,
            "customer_id": self.customer_id,
            "payment_id": self.id,
            "reference": self.reference,
            "currency": self.currency,
            "amount_minor": sign * self.amount_minor,
            "credit_minor": sign * self.credit_minor,
            "received_on": self.received_on,
            "allocations": tuple(
                Allocation(amount_minor=sign * part.amount_minor, invoice=held[part.invoice_id].state())
                for part in self.parts
            ),
        }


COLUMNS = tuple(one.name for one in fields(Payment) if one.name != "parts")
CHANGING = ("id", "status", "reversed_on", "reversal_reason", "updated_at")


async def load(session: Session, seller_id: UUID, wanted: ColumnElement[bool]) -> list[Payment]:
    """Payments with their parts."""
    statement = select(payment).where(payment.c.seller_id == seller_id, wanted).order_by(payment.c.id)
    found = {one.id: one for one in records(Payment, await session.execute(statement))}
    await attach_parts(session, found)
    return list(found.values())


async def attach_parts(session: Session, found: Mapping[UUID, Payment]) -> None:
    if not found:
        return
    parts: dict[UUID, list[Part]] = {}
    for owner, invoice_id, number, amount, after in await fetch(session, _ALLOCATIONS, ids=list(found)):
        parts.setdefault(owner, []).append(Part(invoice_id, number, amount, after))
    for owner, its in parts.items():
        found[owner].parts = tuple(its)


async def find(session: Session, seller_id: UUID, payment_id: UUID) -> Payment:
    """Raises a 404 problem."""
    found = await load(session, seller_id, payment.c.id == payment_id)
    if not found:
        raise not_found("payment", payment_id)
    return found[0]


async def insert(session: Session, made: Sequence[Payment]) -> None:
    """Stores new payments and their parts; 409 when another transaction just recorded the same reference."""
    ordered = sorted(made, key=lambda one: (one.provider, one.reference))
    stored = await insert_objects(session, payment, COLUMNS, ordered)
    if len(stored) < len(made):
        detail = "A payment with the same provider and reference is being recorded by another request. Send it again."
        raise conflict("payment-in-progress", detail)
    await insert_rows(
        session,
        allocation,
        [
            {
                "payment_id": one.id,
                "invoice_id": part.invoice_id,
                "position": position,
                "amount_minor": part.amount_minor,
                "balance_after_minor": part.balance_after_minor,
            }
            for one in made
            for position, part in enumerate(one.parts)
        ],
    )


async def update(session: Session, changed: Iterable[Payment]) -> None:
    await update_objects(session, payment, CHANGING, list(changed))


async def reverse(
    session: Session, seller_id: UUID, payment_id: UUID, reason: str, on: date | None, now: datetime
) -> Payment:
    """Takes one payment back and reopens its invoices; `on` defaults to today at the customer's place."""
    first = await find(session, seller_id, payment_id)
    customer = (await customers.lock(session, seller_id, [first.customer_id]))[first.customer_id]
    one = await find(session, seller_id, payment_id)  # as it is now that nobody else can change it
    if on is not None and on > days.latest_today(now, customer):
        raise invalid("/reversed_on", "in_future", "A payment cannot be taken back in the future.", on.isoformat())
    if on is not None and on < one.received_on:
        detail = f"The payment was received on {one.received_on}: it cannot be taken back before."
        raise invalid("/reversed_on", "before_received", detail, on.isoformat())
    held = await invoices.lock(session, seller_id, [part.invoice_id for part in one.parts])
    promised = await promises.made_at(session, held.values())
    event = one.take_back(held, promised, reason, on or max(days.today(now, customer), one.received_on), now)
    await update(session, [one])
    await invoices.update(session, held.values())
    await emit(session, [event], now=now)
    return one
