"""Promises to pay: a date and an amount, kept when the money is in, judged when their grace has ended.

One that was kept is judged again when a payment is taken back: it is kept while what came in on its invoice, from its
making to the end of its grace, and stands, reaches its amount.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from itertools import zip_longest
from typing import Any
from uuid import UUID

from sqlalchemy import select

from invoice_svc import customers, days, invoices
from invoice_svc.inputs import PromiseIn
from invoice_svc.invoices import Invoice
from invoice_svc.tables import promise as table
from remit_events.envelope import Event
from remit_events.invoices import PromiseKept
from remit_events.outbox import emit
from remit_events.session import Session
from remit_events.state import Promise
from remit_service.bulk import among, execute, fetch, insert_rows, new_id, records, update_objects, update_rows
from remit_service.problems import invalid

BATCH = 500

_EXPIRED = """
SELECT id, customer_id, invoice_id, seller_id FROM promise
WHERE status = 'running' AND expires_at <= :now ORDER BY expires_at, id LIMIT :limit
"""
_END = "UPDATE promise SET status = :status, closed_at = :now WHERE invoice_id = :invoice_id AND status = 'running'"


async def make(
    session: Session, seller_id: UUID, invoice_id: UUID, given: PromiseIn, now: datetime
) -> tuple[Invoice, dict[str, Any]]:
    """Records a promise on an open invoice; one that runs is replaced. Gives the invoice and the promise's row."""
    customer, invoice = await invoices.lock_one(session, seller_id, invoice_id)
    invoice.need_open("promised")
    amount = given.amount_minor or invoice.balance_minor
    if amount > invoice.balance_minor:
        detail = f"Only {invoice.balance_minor} minor units are owed on the invoice; promise that or less."
        raise invalid("/amount_minor", "more_than_owed", detail, amount)
    if given.on < days.today(now, customer):
        detail = "The promised day is over at the customer's place; give today or a later day."
        raise invalid("/on", "in_past", detail, given.on.isoformat())
    grace_until = days.add_business_days(given.on, given.grace_business_days, customer.country)
    promise = Promise(id=new_id(), on=given.on, amount_minor=amount, grace_until=grace_until)
    row = {
        "id": promise.id,
        "seller_id": seller_id,
        "customer_id": customer.id,
        "invoice_id": invoice.id,
        "promised_on": promise.on,
        "amount_minor": amount,
        "grace_until": grace_until,
        "expires_at": days.ended(grace_until, customer),
        "status": "running",
        "paid_minor": 0,
        "made_at": now,
        "closed_at": None,
    }
    await execute(session, _END, status="replaced", now=now, invoice_id=invoice.id)
    await insert_rows(session, table, [row])
    event = invoice.promised(promise, now)
    await invoices.update(session, [invoice])
    await emit(session, [event], now=now)
    return invoice, row


@dataclass(slots=True, kw_only=True)
class Given:
    """A promise as it is stored."""

    id: UUID
    invoice_id: UUID
    promised_on: date
    amount_minor: int
    grace_until: date
    made_at: datetime
    expires_at: datetime
    status: str
    paid_minor: int
    closed_at: datetime | None

    def close(self, status: str, paid_minor: int, at: datetime) -> None:
        self.status, self.paid_minor, self.closed_at = status, paid_minor, at

    def reopen(self) -> Promise:
        self.status, self.paid_minor, self.closed_at = "running", 0, None
        return self.promise()

    def promise(self) -> Promise:
        return Promise(id=self.id, on=self.promised_on, amount_minor=self.amount_minor, grace_until=self.grace_until)


Money = tuple[datetime, int]  # when it was put to an invoice, and how much


async def given_on(session: Session, invoice_ids: Iterable[UUID]) -> dict[UUID, list[Given]]:
    """Every promise made on those invoices, oldest first."""
    columns = [table.c[one.name] for one in fields(Given)]
    wanted = select(*columns).where(among(table.c.invoice_id, invoice_ids)).order_by(table.c.made_at, table.c.id)
    found: dict[UUID, list[Given]] = {}
    for one in records(Given, await session.execute(wanted)):
        found.setdefault(one.invoice_id, []).append(one)
    return found


def judge_again(invoice: Invoice, given: Sequence[Given], standing: Sequence[Money], now: datetime) -> list[Event]:
    """After money was taken back: judges again, by the money that stands, what was kept, and counts what runs.

    One that another was made in place of before its grace ended would have been replaced by it.
    """
    events = list[Event]()
    for one, following in zip_longest(given, given[1:]):
        paid = sum(amount for at, amount in standing if one.made_at <= at < one.expires_at)
        if one.id == invoice.promise_id:
            # What came in at the very moment it was made, but before it, was not counted and is not now.
            invoice.promise_paid_minor = min(paid, invoice.promise_paid_minor)
        elif one.status == "kept" and paid < one.amount_minor:
            if following is not None and following.made_at < one.expires_at:
                one.close("replaced", paid, following.made_at)
            elif now < one.expires_at:
                events.append(invoice.promise_reopened(one.reopen(), paid))
            else:
                one.close("partly_kept" if paid else "broken", paid, now)
                events.append(invoice.promise_unkept(one.promise(), paid))
    return events


async def close_kept(session: Session, events: Iterable[object], now: datetime) -> None:
    """Closes the promises that PromiseKept events speak of."""
    kept = [event.promise for event in events if isinstance(event, PromiseKept)]
    await update_rows(
        session,
        table,
        [{"id": one.id, "status": "kept", "paid_minor": one.amount_minor, "closed_at": now} for one in kept],
    )


async def update(session: Session, judged: Iterable[Given]) -> None:
    """Writes what `judge_again` changed."""
    await update_objects(session, table, ("id", "status", "paid_minor", "closed_at"), list(judged))


async def cancel(session: Session, invoice_id: UUID, now: datetime) -> None:
    """The invoice was voided: its promise has no object any more."""
    await execute(session, _END, status="cancelled", now=now, invoice_id=invoice_id)


async def expire(session: Session, now: datetime) -> int:
    """Judges up to `BATCH` promises whose grace has ended; gives how many were looked at.

    One that is still running then was not kept: in part with some money in, else broken.
    """
    due = await fetch(session, _EXPIRED, now=now, limit=BATCH)
    rows, changed, events = list[dict[str, Any]](), list[Invoice](), list[Event]()
    for seller_id in sorted({row.seller_id for row in due}):
        mine = [row for row in due if row.seller_id == seller_id]
        await customers.lock(session, seller_id, [row.customer_id for row in mine])
        held = await invoices.lock(session, seller_id, [row.invoice_id for row in mine])
        for row in mine:
            invoice = held[row.invoice_id]
            if invoice.promise_id != row.id:
                continue  # paid, replaced or voided since
            broken = invoice.promise_ended(now)
            status = "partly_kept" if broken.paid_minor else "broken"
            rows.append({"id": row.id, "status": status, "paid_minor": broken.paid_minor, "closed_at": now})
            changed.append(invoice)
            events.append(broken)
    await update_rows(session, table, rows)
    await invoices.update(session, changed)
    await emit(session, events, now=now)
    return len(due)


async def next_expiry(session: Session) -> datetime | None:
    """When the next running promise's grace ends."""
    found: datetime | None = await session.scalar(
        select(table.c.expires_at).where(table.c.status == "running").order_by(table.c.expires_at).limit(1)
    )
    return found


async def of_invoice(session: Session, seller_id: UUID, invoice_id: UUID) -> list[dict[str, Any]]:
    """Every promise made on an invoice, oldest first."""
    statement = select(table).where(table.c.seller_id == seller_id, table.c.invoice_id == invoice_id)
    rows = await session.execute(statement.order_by(table.c.made_at, table.c.id))
    return [dict(row) for row in rows.mappings()]
