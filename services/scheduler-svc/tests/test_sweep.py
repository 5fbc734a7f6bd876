"""The sweep on PostgreSQL: what goes, once, whatever runs beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date
from typing import Any

import asyncpg
import pytest
from remit_testing.scheduler_world import World
from sqlalchemy import TextClause, text

from remit_events.schedule import FollowUpExhausted, PaymentDue, TouchDeferred, TouchSuppressed
from remit_events.session import Session
from remit_events.state import Channel
from remit_service.bulk import insert_rows, new_id
from scheduler_svc import tables as t
from scheduler_svc.policies import PolicyCache
from scheduler_svc.sweep import SET_ASIDE, Sweep


async def test_an_invoice_is_followed_to_its_end(world: World) -> None:
    customer = await world.customer()
    world.at("2026-01-02 08:00")
    invoice = await world.issue(customer)
    gone = await world.play("2026-04-01 00:00")
    assert [(due.step, due.decided_at.date(), due.stage) for due in gone] == [
        ("courtesy", date(2026, 1, 26), "upcoming"),
        ("tomorrow", date(2026, 1, 30), "upcoming"),
        ("day-after", date(2026, 2, 3), "overdue"),
        ("second", date(2026, 2, 9), "overdue"),
        ("third", date(2026, 2, 16), "overdue"),
        ("final-notice", date(2026, 3, 4), "overdue"),
    ]
    assert [rule for _, _, rule in await world.log(invoice)] == ["sent"] * 6
    assert await world.task("sweep").next_at() is None


async def test_what_was_seen_before_a_commit_is_not_believed_after_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = await world.customer()
    sweep, commit, looking = world.task("sweep"), Session.commit, list[bool]()

    async def looked_at_first(session: Session) -> None:
        if not looking:
            looking.append(True)
            await sweep.next_at()
            looking.clear()
        await commit(session)

    monkeypatch.setattr(Session, "commit", looked_at_first)
    await world.issue(customer)
    assert await sweep.next_at() is not None


async def test_the_last_step_unpaid_is_told(world: World) -> None:
    customer = await world.customer()
    world.at("2026-01-02 08:00")
    await world.issue(customer)
    world.at("2026-03-04 10:00")  # everything was missed: only the hardest goes
    await world.sweep()
    (due,) = await world.published(PaymentDue)
    assert due.step == "final-notice"
    await world.tell(world.sent(due))
    await world.sweep()
    (ended,) = await world.published(FollowUpExhausted)
    assert ended.invoice.number == "R1"


async def test_sent_is_written_only_when_it_was_sent(world: World) -> None:
    customer = await world.customer()
    world.at("2026-01-02 08:00")
    invoice = await world.issue(customer)
    world.at("2026-01-26 09:00")
    await world.sweep()
    (due,) = await world.published(PaymentDue)
    assert await world.log() == []
    assert await world.sweep() == 0, "in flight: not decided again"
    await world.tell(world.sent(due), world.sent(due, Channel.SMS))
    assert await world.log(invoice) == [("courtesy", "sent", "sent")]
    (row,) = await world.rows("SELECT inputs, on_date, touch_id FROM decision")
    assert (row.inputs["sent_by"], row.on_date, row.touch_id) == ("email", date(2026, 1, 26), due.touch_id)


async def test_merged_steps_end_when_the_harder_one_was_sent(world: World) -> None:
    customer = await world.customer()
    world.at("2026-01-02 08:00")
    invoice = await world.issue(customer)
    world.at("2026-02-17 10:00")
    await world.settle()
    assert await world.log(invoice) == [
        ("courtesy", "skipped", "too-late"),
        ("tomorrow", "skipped", "too-late"),
        ("third", "sent", "sent"),
        ("day-after", "merged", "harder-step"),
        ("second", "merged", "harder-step"),
    ]
    told = await world.published(TouchSuppressed)
    assert [(one.step, one.outcome) for one in told] == [("day-after", "merged"), ("second", "merged")]


async def test_one_message_for_all_a_customer_owes(world: World) -> None:
    customer = await world.customer()
    world.at("2026-01-02 08:00")
    for number, currency in (("R1", "EUR"), ("R2", "USD"), ("R3", "EUR")):
        await world.issue(customer, number, currency=currency)
    world.at("2026-01-26 09:00")
    (due,) = await world.settle()
    assert [(item.invoice.number, item.step) for item in due.items] == [
        ("R1", "courtesy"), ("R2", "courtesy"), ("R3", "courtesy"),
    ]  # fmt: skip
    assert sorted(rule for _, _, rule in await world.log()) == ["sent"] * 3
    assert len(await world.rows("SELECT 1 FROM contact")) == 1


async def test_a_three_day_outage_gives_at_most_one_reminder_per_invoice(world: World) -> None:
    customers = [await world.customer(f"C{n}") for n in range(5)]
    world.at("2026-01-02 08:00")
    for n, customer in enumerate(customers):
        for k in range(4):
            await world.issue(customer, f"R{n}-{k}", due=f"2026-02-{2 + k:02}")
    await world.play("2026-01-29 00:00")
    world.at("2026-02-04 09:30")
    gone = await world.settle()
    numbers = [item.invoice.number for due in gone for item in due.items]
    assert len(numbers) == len(set(numbers))
    assert len(gone) == 5


async def test_two_sweeps_at_once_send_once(world: World) -> None:
    world.at("2026-01-02 08:00")
    for n in range(60):
        customer = await world.customer(f"C{n:02}")
        await world.issue(customer, f"R{n}")
    world.at("2026-01-26 09:00")
    db, clock = world.service.db, world.clock
    sweeps = [Sweep(db, clock, PolicyCache(), batch=7) for _ in range(4)]
    done = await asyncio.gather(*(sweep.run() for sweep in sweeps))
    assert sum(done) == 60
    assert len(await world.published(PaymentDue)) == 60
    assert len(await world.rows("SELECT DISTINCT customer_id FROM touch")) == 60


async def test_a_payment_and_a_reminder_exclude_each_other(world: World) -> None:
    """Whoever has the customer's lock first is first; no reminder is decided on a balance that has gone."""
    world.at("2026-01-02 08:00")
    issued = [await world.issue(await world.customer(f"C{n:02}"), f"R{n}") for n in range(40)]
    world.at("2026-01-26 09:00")
    sweep = Sweep(world.service.db, world.clock, PolicyCache(), batch=4)
    payments = [world.paid(invoice, date(2026, 1, 26)) for invoice in issued]
    await asyncio.gather(sweep.run(), world.tell(*payments), sweep.run())
    await world.sweep()
    touched = {item.invoice.id: item.invoice for due in await world.published(PaymentDue) for item in due.items}
    assert all(state.is_open for state in touched.values())
    final = {row.invoice_id for row in await world.rows("SELECT invoice_id FROM decision WHERE rule = 'paid'")}
    assert not final & set(touched), "in flight: its outcome is told by whoever sends it"


async def test_customers_at_one_address_share_gap_and_cap(world: World) -> None:
    shared = "ap@holding.example"
    world.at("2026-01-02 08:00")
    for name in ("C1", "C2"):
        await world.issue(await world.customer(name, email=shared), f"R-{name}")
    world.at("2026-01-26 09:00")
    (due,) = await world.settle()
    assert due.items[0].invoice.number == "R-C1"
    (row,) = await world.rows("SELECT rule, inputs FROM decision WHERE outcome = 'deferred'")
    assert (row.rule, row.inputs["shared_address"]) == ("minimum-gap", True)
    world.at("2026-01-27 09:00")
    (due,) = await world.settle()
    assert due.items[0].invoice.number == "R-C2"


async def test_two_sweeps_do_not_reach_one_address_twice(world: World) -> None:
    world.at("2026-01-02 08:00")
    for n in range(20):
        for side in "ab":
            customer = await world.customer(f"C{n:02}{side}", email=f"shared{n}@holding.example")
            await world.issue(customer, f"R{n}{side}")
    world.at("2026-01-26 09:00")
    sweeps = [Sweep(world.service.db, world.clock, PolicyCache(), batch=3) for _ in range(4)]
    await asyncio.gather(*(sweep.run() for sweep in sweeps))
    assert len(await world.published(PaymentDue)) == 20


async def test_the_same_deferral_is_told_once(world: World) -> None:
    customer = await world.customer()
    world.at("2026-01-02 08:00")
    await world.issue(customer, "R1")
    world.at("2026-01-26 09:00")
    await world.settle()
    await world.issue(customer, "R2", issue="2026-01-02", due="2026-02-02")
    world.at("2026-01-26 10:00")
    await world.sweep()
    (told,) = await world.published(TouchDeferred)
    assert (told.rule, told.until) == ("minimum-gap", world.clock.now().replace(day=27, hour=8))
    await world.customer_changes(world.customers[customer.id], name="Other")
    await world.sweep()
    assert await world.published(TouchDeferred) == []
    rows = await world.rows("SELECT 1 FROM decision WHERE outcome = 'deferred'")
    assert len(rows) == 1


async def test_the_database_refuses_a_second_final_row(world: World) -> None:
    customer = await world.customer()
    world.at("2026-01-02 08:00")
    invoice = await world.issue(customer)
    row = {
        "seller_id": world.seller.id, "at": world.clock.now(), "on_date": date(2026, 1, 2), "customer_id": customer.id,
        "invoice_id": invoice.id, "invoice_number": "R1", "step": "courtesy", "outcome": "skipped", "rule": "catch-up",
        "inputs": {}, "policy_key": "business", "policy_version": 1, "final": True,
        "reopens": False,
    }  # fmt: skip
    taken_back = row | {"id": new_id(), "reopens": True}
    async with world.service.db.transaction() as session:
        await insert_rows(session, t.decision, [taken_back, row | {"id": new_id()}])
    with pytest.raises(asyncpg.UniqueViolationError, match="decision_one_final"):
        async with world.service.db.transaction() as session:
            await insert_rows(session, t.decision, [row | {"id": new_id()}])


async def test_an_idle_sweep_asks_the_database_once(world: World) -> None:
    customer = await world.customer()
    world.at("2026-01-02 08:00")
    await world.issue(customer)
    sweep = world.task("sweep")
    assert await sweep.run() == 0
    due = await sweep.next_at()
    assert due is not None
    assert due.date() == date(2026, 1, 26)
    await world.service.db.engine.dispose()
    assert await sweep.run() == 0
    assert world.service.db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_round_trips_do_not_grow_with_the_batch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    counts, statements = [], []
    fetch = Session.fetch

    async def counting(session: Session, statement: TextClause, values: Mapping[str, Any]) -> list[Any]:
        statements.append(str(statement))
        return await fetch(session, statement, values)

    monkeypatch.setattr(Session, "fetch", counting)
    world.at("2026-01-02 08:00")
    for size, due_date in ((2, "2026-02-02"), (40, "2026-02-03")):
        for n in range(size):
            await world.issue(await world.customer(f"C{size}-{n}"), f"R{size}-{n}", due=due_date)
        world.clock.set(await world.task("sweep").next_at() or world.clock.now())
        statements.clear()
        assert await world.sweep() == size
        counts.append(len(statements))
        for due in await world.published(PaymentDue):
            await world.tell(world.sent(due))
        await world.sweep()
    assert 5 < counts[0] == counts[1] <= 14


async def test_a_customer_that_cannot_be_decided_about_does_not_stop_the_others(world: World) -> None:
    world.at("2026-01-02 08:00")
    for n in range(3):
        await world.issue(await world.customer(f"C{n}"), f"R{n}")
    async with world.service.db.transaction() as session:
        await session.execute(text("UPDATE follow_up SET policy_version = 99 WHERE number = 'R1'"))
    world.at("2026-01-26 09:00")
    with pytest.raises(KeyError):
        await world.sweep()  # a simulation stops
    live = Sweep(world.service.db, world.clock, PolicyCache())
    assert await live.run() == 3
    gone = [item.invoice.number for due in await world.published(PaymentDue) for item in due.items]
    assert sorted(gone) == ["R0", "R2"]
    (row,) = await world.rows("SELECT external_id FROM customer WHERE next_at = :at", at=world.clock.now() + SET_ASIDE)
    assert row.external_id == "C1"
