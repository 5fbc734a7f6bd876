"""Loading and writing the book of a batch of events: a statement per table, however many events there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from remit_events.outbox import emit
from remit_events.session import Session
from remit_events.state import Channel, CustomerState
from remit_service.bulk import execute, fetch, insert_rows, new_id, update_rows
from scheduler_svc import early, records
from scheduler_svc import tables as t
from scheduler_svc.book import Book, CustomerRecord, DemandRecord, FollowUpRecord, TouchRecord
from scheduler_svc.channels import addresses
from scheduler_svc.storing import demand_values

_SHARING = """
SELECT id FROM customer WHERE seller_id = ANY(:sellers) AND addresses && CAST(:addresses AS text[])
"""
_LOCK = """
SELECT id, seller_id, snapshot::text, version, addresses, suppressed, next_at, waiting FROM customer
WHERE id = ANY(:ids) ORDER BY id FOR UPDATE
"""
_TOUCHES = """
SELECT id, seller_id, customer_id, demand_id, status, reached, items AS listed, channels, local_date FROM touch
WHERE id = ANY(:ids)
"""
_FOLLOW_UPS = f"SELECT {records.FOLLOW_UP_COLUMNS} FROM follow_up WHERE invoice_id = ANY(:ids)"  # noqa: S608
_DEMANDS = f"SELECT {records.DEMAND_COLUMNS} FROM demand WHERE id = ANY(:ids) OR case_id = ANY(:cases)"  # noqa: S608
_SUPPRESSED = "SELECT seller_id, address FROM suppression WHERE seller_id = ANY(:sellers) AND address = ANY(:addresses)"
_RELEASE = "DELETE FROM contact WHERE touch_id = ANY(CAST(:touches AS uuid[]))"
_RESTORE = """
DELETE FROM suppression USING unnest(CAST(:sellers AS uuid[]), CAST(:addresses AS text[])) AS gone (s, a)
WHERE seller_id = s AND address = a
"""
# The answer may be heard of before the reply, for they come by different topics.
_TOLD = """(id) DO UPDATE SET answered = reply.answered OR excluded.answered,
    received_at = coalesce(reply.received_at, excluded.received_at)
"""


async def lock_customers(
    session: Session, book: Book, whose: dict[UUID, UUID], touched: Sequence[tuple[UUID, str]]
) -> None:
    """Locks the customers of `whose` (id → seller), and those at the `touched` addresses, in id order."""
    ids = set(whose)
    if touched:
        sellers, addresses = [seller for seller, _ in touched], [address for _, address in touched]
        ids |= {row.id for row in await fetch(session, _SHARING, sellers=sellers, addresses=addresses)}
    await _lock(session, book, ids)
    missing = sorted(set(whose) - set(book.customers))
    if missing:
        rows = [_placeholder(customer_id, whose[customer_id]) for customer_id in missing]
        await insert_rows(session, t.customer, rows, on_conflict="DO NOTHING")
        await _lock(session, book, missing)


async def _lock(session: Session, book: Book, ids: Iterable[UUID]) -> None:
    for row in await fetch(session, _LOCK, ids=list(ids)):
        customer_id, seller_id, snapshot, version, addresses, suppressed, next_at, waiting = row
        state = _customer_state(snapshot) if snapshot else None
        fixed = (customer_id, seller_id, state, version, addresses, suppressed, next_at)
        book.customers[customer_id] = CustomerRecord(*fixed, waiting=early.read(waiting))


@lru_cache(maxsize=4096)
def _customer_state(snapshot: str) -> CustomerState:
    """Of the JSON in a row: a customer comes again and again, with each of their invoices."""
    return CustomerState.model_validate_json(snapshot)


def _placeholder(customer_id: UUID, seller_id: UUID) -> dict[str, Any]:
    return {"id": customer_id, "seller_id": seller_id, "version": 0, "addresses": [], "suppressed": []}


async def load_suppressions(session: Session, book: Book, states: Iterable[tuple[UUID, CustomerState]]) -> None:
    """Which addresses of changed customers are closed."""
    pairs = [(seller, key) for seller, state in states for key in records.address_keys(state)]
    if pairs:
        sellers, addresses = list({seller for seller, _ in pairs}), [key for _, key in pairs]
        rows = await fetch(session, _SUPPRESSED, sellers=sellers, addresses=addresses)
        book.closed_addresses |= {(row.seller_id, row.address) for row in rows}


async def load_touches(session: Session, book: Book, ids: Sequence[UUID]) -> None:
    for row in await fetch(session, _TOUCHES, ids=list(ids)) if ids else ():
        items = row.listed
        book.touches[row.id] = TouchRecord(
            id=row.id,
            seller_id=row.seller_id,
            customer_id=row.customer_id,
            demand_id=row.demand_id,
            status=row.status,
            reached=row.reached,
            items=[records.touch_item(value) for value in items],
            inputs=[value["inputs"] for value in items],
            channels=row.channels,
            local_date=row.local_date,
        )


async def load_follow_ups(session: Session, book: Book, ids: Iterable[UUID]) -> None:
    wanted = [one for one in set(ids) if one not in book.follow_ups]
    for row in await fetch(session, _FOLLOW_UPS, ids=wanted) if wanted else ():
        book.follow_ups[row.invoice_id] = FollowUpRecord(records.follow_up(row), row.seller_id, row.customer_id)


async def load_demands(session: Session, book: Book, ids: Sequence[UUID], cases: Sequence[UUID]) -> None:
    if ids or cases:
        for row in await fetch(session, _DEMANDS, ids=list(ids), cases=list(cases)):
            book.demands[row.id] = DemandRecord(records.demand(row), row.seller_id, row.customer_id)


async def write(session: Session, book: Book) -> None:
    """Everything that changed, a statement per table; events last."""
    now = book.now
    await update_rows(session, t.customer, [_customer(one) for one in book.customers.values() if one.changed])
    follow_ups = [one for one in book.follow_ups.values() if one.changed]
    new = [one for one in follow_ups if one.new]
    await insert_rows(session, t.follow_up, [_with_owner(one, records.follow_up_values(one.value, now)) for one in new])
    old = [records.follow_up_values(one.value, now) for one in follow_ups if not one.new]
    await update_rows(session, t.follow_up, old, key="invoice_id")
    await _write_demands(session, book)
    touches = [
        {"id": one.id, "status": one.status, "reached": one.reached} for one in book.touches.values() if one.changed
    ]
    await update_rows(session, t.touch, touches)
    await insert_rows(session, t.decision, book.decisions)
    if book.released:
        await execute(session, _RELEASE, touches=book.released)
    counted = [_contact(book, one) for one in book.recounted]
    await insert_rows(session, t.contact, counted, on_conflict="DO NOTHING")
    await _write_suppressions(session, book, now)
    await insert_rows(session, t.reply, list(book.replies.values()), on_conflict=_TOLD)
    await emit(session, book.events, now=now)


async def _write_demands(session: Session, book: Book) -> None:
    new = [one for one in book.demands.values() if one.new]
    rows = []
    for one in new:
        value = one.value
        fixed = {"case_id": value.case_id, "invoice_id": value.invoice_id, "rung": value.rung}
        fixed |= {"triggered_on": value.triggered_on, "deadline": value.deadline}
        fixed |= {"reminders_sent": value.reminders_sent, "approved_by": value.approved_by}
        rows.append(_with_owner(one, demand_values(value) | fixed))
    await insert_rows(session, t.demand, rows)
    old = [demand_values(one.value) for one in book.demands.values() if one.changed and not one.new]
    await update_rows(session, t.demand, old)


async def _write_suppressions(session: Session, book: Book, now: datetime) -> None:
    closed = [
        {"seller_id": seller, "address": address, "reason": reason, "at": now}
        for (seller, address), reason in book.suppressions.items()
        if reason is not None
    ]
    await insert_rows(session, t.suppression, closed, on_conflict="(seller_id, address) DO UPDATE SET at = excluded.at")
    opened = [pair for pair, reason in book.suppressions.items() if reason is None]
    if opened:
        await execute(session, _RESTORE, sellers=[s for s, _ in opened], addresses=[a for _, a in opened])


def _customer(one: CustomerRecord) -> dict[str, Any]:
    return {
        "id": one.id,
        "external_id": one.state.external_id if one.state else None,
        "snapshot": one.state,
        "version": one.version,
        "addresses": one.addresses,
        "suppressed": one.suppressed,
        "next_at": one.next_at,
        "waiting": early.stored(one.waiting),
    }


def _with_owner(one: FollowUpRecord | DemandRecord, values: dict[str, Any]) -> dict[str, Any]:
    return {"seller_id": one.seller_id, "customer_id": one.customer_id} | values


def _contact(book: Book, touch: TouchRecord) -> dict[str, Any]:
    """A touch that was given up and turns out to have reached somebody counts after all."""
    customer = book.customers[touch.customer_id]
    consent = customer.known().sms_consent
    reached = addresses(customer.addresses, customer.suppressed, sms_consent=consent)
    return {
        "id": new_id(),
        "seller_id": touch.seller_id,
        "customer_id": touch.customer_id,
        "on_date": touch.local_date,
        "touch_id": touch.id,
        "kind": "touch",
        "addresses": records.contact_keys(reached, [Channel(channel) for channel in touch.channels]),
        "recorded_at": book.now,
    }
