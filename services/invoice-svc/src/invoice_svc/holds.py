"""Holds: staff asks to leave an invoice or a whole customer alone, until a day or until released."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from invoice_svc import customers, days, invoices
from invoice_svc.customers import Customer
from invoice_svc.invoices import Invoice
from invoice_svc.tables import hold as table
from remit_events.envelope import Event
from remit_events.outbox import emit
from remit_events.session import Session
from remit_service.bulk import execute, fetch, insert_rows, new_id
from remit_service.problems import invalid, not_found

BATCH = 500
TIME_IS_UP = "the hold's last day has passed"

_EXPIRED = """
SELECT id, seller_id, customer_id, invoice_id FROM hold
WHERE released_at IS NULL AND release_at <= :now ORDER BY release_at, id LIMIT :limit
"""
_LIFT_INVOICE = """
UPDATE hold SET released_at = :now, release_reason = :reason WHERE invoice_id = :id AND released_at IS NULL
"""
_LIFT_CUSTOMER = """
UPDATE hold SET released_at = :now, release_reason = :reason
WHERE customer_id = :id AND invoice_id IS NULL AND released_at IS NULL
"""
_LIFT = """
UPDATE hold SET released_at = :now, release_reason = :reason
WHERE id = ANY(CAST(:ids AS uuid[])) AND released_at IS NULL RETURNING id
"""


async def hold_customer(
    session: Session, seller_id: UUID, customer_id: UUID, reason: str, until: date | None, now: datetime
) -> tuple[Customer, datetime | None]:
    """Holds every invoice of a customer; gives them and when the hold ends by itself."""
    customer = await lock_customer(session, seller_id, customer_id)
    event = customer.put_on_hold(reason, _checked(until, customer, now), now)
    await execute(session, _LIFT_CUSTOMER, now=now, reason="replaced", id=customer.id)
    ends = await _record(session, customer, None, reason, until, now)
    await customers.update(session, [customer])
    await emit(session, [event], now=now)
    return customer, ends


async def release_customer(
    session: Session, seller_id: UUID, customer_id: UUID, reason: str, now: datetime
) -> Customer:
    customer = await lock_customer(session, seller_id, customer_id)
    event = customer.release(reason, now)
    await execute(session, _LIFT_CUSTOMER, now=now, reason=reason, id=customer.id)
    await customers.update(session, [customer])
    await emit(session, [event], now=now)
    return customer


async def hold_invoice(
    session: Session, seller_id: UUID, invoice_id: UUID, reason: str, until: date | None, now: datetime
) -> tuple[Invoice, datetime | None]:
    """Holds one invoice; gives it and when the hold ends by itself."""
    customer, invoice = await invoices.lock_one(session, seller_id, invoice_id)
    event = invoice.put_on_hold(reason, _checked(until, customer, now), now)
    await execute(session, _LIFT_INVOICE, now=now, reason="replaced", id=invoice.id)
    ends = await _record(session, customer, invoice.id, reason, until, now)
    await invoices.update(session, [invoice])
    await emit(session, [event], now=now)
    return invoice, ends


async def release_invoice(session: Session, seller_id: UUID, invoice_id: UUID, reason: str, now: datetime) -> Invoice:
    _, invoice = await invoices.lock_one(session, seller_id, invoice_id)
    event = invoice.release(reason, now)
    await execute(session, _LIFT_INVOICE, now=now, reason=reason, id=invoice.id)
    await invoices.update(session, [invoice])
    await emit(session, [event], now=now)
    return invoice


async def lock_customer(session: Session, seller_id: UUID, customer_id: UUID) -> Customer:
    """Raises a 404 problem."""
    found = await customers.lock(session, seller_id, [customer_id])
    if customer_id not in found:
        raise not_found("customer", customer_id)
    return found[customer_id]


async def expire(session: Session, now: datetime) -> int:
    """Releases up to `BATCH` holds whose last day has passed at the customer's place; gives how many were looked at."""
    due = await fetch(session, _EXPIRED, now=now, limit=BATCH)
    for seller_id in sorted({row.seller_id for row in due}):
        await _release_all(session, seller_id, [row for row in due if row.seller_id == seller_id], now)
    return len(due)


async def _release_all(session: Session, seller_id: UUID, due: Sequence[Any], now: datetime) -> None:
    whose = await customers.lock(session, seller_id, [row.customer_id for row in due])
    held = await invoices.lock(session, seller_id, [row.invoice_id for row in due if row.invoice_id])
    # Only what nobody lifted before we had the locks.
    lifted = await fetch(session, _LIFT, now=now, reason=TIME_IS_UP, ids=[row.id for row in due])
    still = {row.id for row in lifted}
    mine = [row for row in due if row.id in still]
    freed = [held[row.invoice_id] for row in mine if row.invoice_id]
    released = [whose[row.customer_id] for row in mine if not row.invoice_id]
    events: list[Event] = [one.release(TIME_IS_UP, now) for one in released]
    events += [one.release(TIME_IS_UP, now) for one in freed]
    await customers.update(session, released)
    await invoices.update(session, freed)
    await emit(session, events, now=now)


async def next_expiry(session: Session) -> datetime | None:
    """When the next hold ends by itself."""
    running = select(table.c.release_at).where(table.c.released_at.is_(None), table.c.release_at.is_not(None))
    found: datetime | None = await session.scalar(running.order_by(table.c.release_at).limit(1))
    return found


def _checked(until: date | None, customer: Customer, now: datetime) -> date | None:
    if until is not None and until < days.today(now, customer):
        detail = "The last day of the hold is over at the customer's place; give today or a later day, or none."
        raise invalid("/until", "in_past", detail, until.isoformat())
    return until


async def _record(
    session: Session,
    customer: Customer,
    invoice_id: UUID | None,
    reason: str,
    until: date | None,
    now: datetime,
) -> datetime | None:
    ends = days.ended(until, customer) if until else None
    row = {
        "id": new_id(),
        "seller_id": customer.seller_id,
        "customer_id": customer.id,
        "invoice_id": invoice_id,
        "reason": reason,
        "until": until,
        "release_at": ends,
        "held_at": now,
        "released_at": None,
        "release_reason": None,
    }
    await insert_rows(session, table, [row])
    return ends
