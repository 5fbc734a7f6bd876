"""Replicas and events at the same time: a rung is taken once, and never after the case was closed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text
from uuid6 import uuid7

from escalation_svc import rungs
from escalation_svc.rungs import Rungs
from escalation_svc.transitions import Rules
from escalation_svc.watch import Watch
from remit_events.escalations import EscalationResolved
from remit_events.invoices import InvoicePaid
from remit_events.state import Stage

Day = Callable[[int], date]
CUSTOMERS = 60
LEAST = 0.10


async def reminded_customers(world: Any, day: Day, count: int = CUSTOMERS) -> list[tuple[Any, Any]]:
    """Customers with an invoice each whose first rung may be taken now."""
    debtors = [await world.customer(f"{n:08d}", settle=False) for n in range(count)]
    found = [(debtor, await debtor.invoice(f"R-{n}", settle=False)) for n, debtor in enumerate(debtors)]
    for offset in (1, 7):
        world.go(day(offset))
        dues = [world.due(debtor, [bill], Stage.OVERDUE, "day-after") for debtor, bill in found]
        await world.publish(*dues, *(world.accepted(due) for due in dues))
    world.go(day(14))
    return found


def replica(world: Any) -> Rungs:
    return Rungs(world.service.db, world.clock, Rules(), "default", Watch())


async def test_three_replicas_take_each_rung_once(world: Any, day: Day) -> None:
    await reminded_customers(world, day)
    await asyncio.gather(*(replica(world).run() for _ in range(3)))
    await replica(world).run()  # what the others held locked when one looked
    taken = Counter(event.case_id for event in await world.triggered())
    assert (len(taken), set(taken.values())) == (CUSTOMERS, {1})


def test_what_was_read_while_a_plan_changed_is_not_believed() -> None:
    watch = Watch()
    before = watch.changes
    watch.changed()
    watch.read(None, before)
    assert watch.known() is None
    watch.read(None, watch.changes)
    assert watch.known() is not None


async def test_payments_and_rungs_at_once_leave_no_rung_after_the_end(
    world: Any, day: Day, rounds: Any, chance: random.Random, invariant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both go through all customers a few at a time, the payments in an order of their own."""
    monkeypatch.setattr(rungs, "CUSTOMERS_AT_ONCE", 2)
    total = rounds(full=300, short=CUSTOMERS)
    found = await reminded_customers(world, day, total)
    paid = [
        InvoicePaid(
            **world.keys(debtor),
            invoice=bill.after(status="paid", balance_minor=0),
            payment_id=uuid7(),
            paid_on=day(14),
            days_late=14,
        )
        for debtor, bill in found
    ]

    chance.shuffle(paid)
    told = asyncio.Event()

    async def pay() -> None:
        for start in range(0, total, 5):
            await world.publish(*paid[start : start + 5])
        told.set()

    async def look() -> None:
        while not told.is_set():
            await replica(world).run()

    await asyncio.gather(pay(), look())
    await world.rungs()
    events = await world.said()
    ended: set[Any] = set()
    for event in events:
        if isinstance(event, EscalationResolved):
            ended.add(event.case_id)
        else:
            assert event.case_id not in ended
    async with world.service.db.reading() as session:
        cases = (await session.execute(text("SELECT status FROM escalation_case"))).scalars().all()
    assert cases == ["closed"] * total
    assert ended == {event.case_id for event in events}
    rung_first = len(ended) / total
    assert LEAST <= rung_first <= 1 - LEAST
    invariant(12, "a payment against its rung").held(
        rounds=total, rung_first=f"{rung_first:.0%}", payment_first=f"{1 - rung_first:.0%}", after_the_end=0
    )
