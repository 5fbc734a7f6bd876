"""Payments: money recorded once per provider and reference, where it was put, and taking it back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select

from invoice_svc import customers, days, invoices, promises
from invoice_svc.allocation import Split
from invoice_svc.invoices import Invoice
from invoice_svc.promises import Given, Money
from invoice_svc.tables import allocation, payment
from remit_events.envelope import Event
from remit_events.invoices import Allocation, CreditAllocated, PaymentReceived, PaymentReversed
from remit_events.outbox import emit
from remit_events.session import Session
from remit_service.bulk import among, fetch, insert_objects, insert_rows, records, update_objects
from remit_service.problems import conflict, invalid, not_found

_ALLOCATIONS = """
SELECT a.payment_id, a.invoice_id, i.number, a.amount_minor, a.balance_after_minor,
    coalesce(a.allocated_at, p.created_at) AS at, a.allocated_at IS NOT NULL AS later
FROM allocation AS a JOIN invoice AS i ON i.id = a.invoice_id JOIN payment AS p ON p.id = a.payment_id
WHERE a.payment_id = ANY(CAST(:ids AS uuid[])) ORDER BY a.payment_id, a.position
"""


@dataclass(frozen=True, slots=True)
class Part:
    """What a payment put to one invoice at one moment, and what was owed on it right after; `later`: its credit."""

    invoice_id: UUID
    number: str
    amount_minor: int
    balance_after_minor: int
    at: datetime
    later: bool = False


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

    @property
    def first_parts(self) -> tuple[Part, ...]:
        """What was put when the payment was recorded."""
        return tuple(part for part in self.parts if not part.later)

    def put(self, split: Split, held: Mapping[UUID, Invoice], now: datetime) -> list[Event]:
        """Puts the money to the invoices; gives PaymentReceived and what followed from it."""
        self.parts, after = self._receive(split, held, self.received_on, now, later=False)
        self.credit_minor = split.credit_minor
        about = self._about(held, self.parts, self.amount_minor, self.credit_minor)
        return [PaymentReceived(**about), *after]

    def put_credit(self, split: Split, held: Mapping[UUID, Invoice], on: date, now: datetime) -> list[Event]:
        """Puts credit to the invoices, paid by it `on` that day; gives CreditAllocated and what followed from it."""
        parts, after = self._receive(split, held, on, now, later=True)
        self.parts += parts
        put, self.credit_minor, self.updated_at = self.credit_minor - split.credit_minor, split.credit_minor, now
        return [CreditAllocated(**self._about(held, parts, 0, -put)), *after]

    def need_credit(self) -> None:
        """Raises the 409 problem that says why nothing of it can be put anywhere."""
        if self.status == "reversed":
            detail = f"Payment {self.reference} was reversed on {self.reversed_on}; there is nothing left of it."
            raise conflict("payment-reversed", detail)
        if not self.credit_minor:
            detail = f"Payment {self.reference} has no credit on account; all of it was put to invoices."
            raise conflict("nothing-to-allocate", detail)

    def _receive(
        self, split: Split, held: Mapping[UUID, Invoice], on: date, now: datetime, *, later: bool
    ) -> tuple[tuple[Part, ...], list[Event]]:
        parts, after = list[Part](), list[Event]()
        for share in split.shares:
            one = held[share.invoice_id]
            one.receive(share.amount_minor, now)
            after += one.after_payment(self.id, on)
            parts.append(Part(one.id, str(one.number), share.amount_minor, one.balance_minor, now, later))
        return tuple(parts), after

    def take_back(
        self, held: Mapping[UUID, Invoice], history: History, reason: str, on: date, now: datetime
    ) -> list[Event]:
        """Charge-back or bounced debit: what it paid is owed again. 409 when that was done before.

        Gives PaymentReversed and what followed from it: a promise it had kept runs again, or is broken.
        """
        if self.status == "reversed":
            detail = f"Payment {self.reference} was reversed on {self.reversed_on}; there is nothing left to take back."
            raise conflict("payment-reversed", detail)
        self.status, self.reversed_on, self.reversal_reason, self.updated_at = "reversed", on, reason, now
        after = list[Event]()
        for invoice_id, amount in self.put_to().items():
            one = held[invoice_id]
            one.take_back(amount, now)
            after += promises.judge_again(one, history.promises(one.id), history.standing(one.id, self.id), now)
        back = [replace(part, amount_minor=-part.amount_minor) for part in self.parts]
        about = self._about(held, back, -self.amount_minor, -self.credit_minor) | {"received_on": on}
        return [PaymentReversed(**about, reason=reason), *after]

    def put_to(self) -> dict[UUID, int]:
        """Minor units by invoice."""
        sums = Counter[UUID]()
        for part in self.parts:
            sums[part.invoice_id] += part.amount_minor
        return sums

    def _about(self, held: Mapping[UUID, Invoice], parts: Sequence[Part], amount: int, credit: int) -> dict[str, Any]:
        return {
            "seller_id": self.seller_id,
            "customer_id": self.customer_id,
            "payment_id": self.id,
            "reference": self.reference,
            "currency": self.currency,
            "amount_minor": amount,
            "credit_minor": credit,
            "received_on": self.received_on,
            "allocations": tuple(
                Allocation(amount_minor=part.amount_minor, invoice=held[part.invoice_id].state()) for part in parts
            ),
        }


@dataclass(frozen=True, slots=True)
class History:
    """What was promised and paid on some invoices."""

    promised: Mapping[UUID, Sequence[Given]] = field(default_factory=dict)
    paid: Mapping[UUID, Sequence[Payment]] = field(default_factory=dict)

    def promises(self, invoice_id: UUID) -> Sequence[Given]:
        return self.promised.get(invoice_id, ())

    def standing(self, invoice_id: UUID, without: UUID) -> list[Money]:
        """When money was put to the invoice, and how much, where it was not taken back."""
        parts = [
            part
            for payment in self.paid.get(invoice_id, ())
            if payment.status == "received" and payment.id != without
            for part in payment.parts
        ]
        return [(part.at, part.amount_minor) for part in parts if part.invoice_id == invoice_id]


COLUMNS = tuple(one.name for one in fields(Payment) if one.name != "parts")
CHANGING = ("id", "credit_minor", "status", "reversed_on", "reversal_reason", "updated_at")


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
    for owner, *part in await fetch(session, _ALLOCATIONS, ids=list(found)):
        parts.setdefault(owner, []).append(Part(*part))
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
    await insert_parts(session, made, 0)


async def insert_parts(session: Session, put: Sequence[Payment], earlier: int) -> None:
    """Stores the parts of payments but the `earlier` first ones."""
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
                "allocated_at": part.at if part.later else None,
            }
            for one in put
            for position, part in enumerate(one.parts)
            if position >= earlier
        ],
    )


async def update(session: Session, changed: Iterable[Payment]) -> None:
    await update_objects(session, payment, CHANGING, list(changed))


async def on_invoices(session: Session, seller_id: UUID, invoice_ids: Iterable[UUID]) -> dict[UUID, list[Payment]]:
    """Every payment put to those invoices, in the order they were recorded."""
    paid_by = select(allocation.c.payment_id).where(among(allocation.c.invoice_id, invoice_ids))
    found: dict[UUID, list[Payment]] = {}
    for one in await load(session, seller_id, payment.c.id.in_(paid_by)):
        for invoice_id in one.put_to():
            found.setdefault(invoice_id, []).append(one)
    return found


async def reverse(
    session: Session, seller_id: UUID, payment_id: UUID, reason: str, on: date | None, now: datetime
) -> tuple[Payment, datetime | None]:
    """Takes one payment back and reopens its invoices; `on` defaults to today at the customer's place.

    Gives the payment, and when the grace of the first promise ends that runs again.
    """
    first = await find(session, seller_id, payment_id)
    customer = (await customers.lock(session, seller_id, [first.customer_id]))[first.customer_id]
    one = await find(session, seller_id, payment_id)  # as it is now that nobody else can change it
    if on is not None and on > days.latest_today(now, customer):
        raise invalid("/reversed_on", "in_future", "A payment cannot be taken back in the future.", on.isoformat())
    if on is not None and on < one.received_on:
        detail = f"The payment was received on {one.received_on}: it cannot be taken back before."
        raise invalid("/reversed_on", "before_received", detail, on.isoformat())
    held = await invoices.lock(session, seller_id, one.put_to())
    promised = await promises.given_on(session, held)
    history = History(promised, await on_invoices(session, seller_id, promised) if promised else {})
    events = one.take_back(held, history, reason, on or max(days.today(now, customer), one.received_on), now)
    await update(session, [one])
    await invoices.update(session, held.values())
    judged = [given for its in promised.values() for given in its]
    await promises.update(session, judged)
    await emit(session, events, now=now)
    return one, min((given.expires_at for given in judged if given.status == "running"), default=None)
