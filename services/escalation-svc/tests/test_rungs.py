"""Rungs in time: events in over the real bus, rungs out, on a real database with a clock that is set."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from remit_testing.statements import sent_by
from sqlalchemy import text

from remit_events.schedule import Window
from remit_events.state import Channel, Stage

Day = Callable[[int], date]
BERLIN = ZoneInfo("Europe/Berlin")


async def test_the_whole_ladder_in_order(auto_world: Any, day: Day) -> None:
    """Due Monday 16 March 2026: the demand 5 days after the +30 contact, day 90 is a Sunday."""
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await auto_world.remind(bill, 1, 7, 14, 30)
    await auto_world.live_until(day(120))
    assert await auto_world.taken() == [
        ("account-manager", 14, None),
        ("formal-demand", 35, "simulation"),
        ("suspension", 45, None),
        ("collections-agency", 60, "simulation"),
        ("legal", 91, "simulation"),
    ]
    events = await auto_world.triggered()
    assert [e.stops_chasing for e in events] == [False, False, False, True, True]
    assert [e.reminders_sent for e in events] == [3, 4, 4, 4, 4]
    assert events[1].demand_deadline == day(45)
    assert [e.demand_deadline for e in events if e.action != "formal_demand"] == [None] * 4
    assert {e.ladder_version for e in events} == {1}
    tasks = (await auto_world.get("/v1/tasks"))["data"]
    assert [(task["kind"], task["rung"], task["status"]) for task in tasks] == [
        ("task", "account-manager", "open"),
        ("service_suspension", "suspension", "open"),
        ("agency", "collections-agency", "open"),
        ("legal", "legal", "open"),
    ]
    assert await auto_world.planned() is None
    assert (await auto_world.case(bill))["reasons"][0]["rule"] == "ladder-done"


async def test_rungs_are_looked_at_when_the_window_opens_on_a_working_day(auto_world: Any, day: Day) -> None:
    """14 days after Saturday 21 March is Saturday 4 April, then Easter: Tuesday 7 April, 09:00 in Berlin."""
    customer = await auto_world.customer()
    bill = await customer.invoice(due=date(2026, 3, 21))
    await auto_world.remind(bill, 7, 14)
    assert await auto_world.planned() == datetime(2026, 4, 7, 7, tzinfo=UTC)
    await auto_world.live_until(day(40))
    assert (await auto_world.taken())[0] == ("account-manager", 17, None)


async def test_the_window_of_the_last_message_is_the_one_that_counts(auto_world: Any, day: Day) -> None:
    customer = await auto_world.customer()
    bill = await customer.invoice()
    weekend = Window(days=("sat", "sun"), opens=time(11, 30), until=time(17), skip_holidays=False)
    for offset in (1, 7):
        auto_world.go(day(offset))
        await bill.remind(window=weekend)
    assert await auto_world.planned() == datetime(2026, 4, 4, 9, 30, tzinfo=UTC)


async def test_a_customer_elsewhere_has_their_own_morning_and_week(auto_world: Any, day: Day) -> None:
    """Friday and Saturday are off in Egypt; Kathmandu lies 5:45 ahead of UTC."""
    for country, zone, expected in (
        ("EG", "Africa/Cairo", datetime(2026, 4, 5, 7, tzinfo=UTC)),
        ("NP", "Asia/Kathmandu", datetime(2026, 4, 3, 3, 15, tzinfo=UTC)),
    ):
        customer = await auto_world.customer(f"In {country}", country=country, timezone=zone)
        bill = await customer.invoice(f"R-{country}", due=date(2026, 3, 20))
        auto_world.go(date(2026, 3, 27) if country == "EG" else date(2026, 3, 30), time(12))
        await bill.remind()
        await bill.remind()
        async with auto_world.service.db.reading() as session:
            planned = await session.scalar(
                text("SELECT next_eval_at FROM escalation_case WHERE number = :n"), {"n": f"R-{country}"}
            )
        assert planned == expected, country


async def test_never_a_demand_with_fewer_than_three_reminders(auto_world: Any, day: Day) -> None:
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await auto_world.remind(bill, -2, 0, 1)
    await bill.remind(channels=(Channel.EMAIL, Channel.SMS, Channel.LETTER))
    await auto_world.live_until(day(200))
    assert [rung for rung, _, _ in await auto_world.taken()] == ["account-manager"]
    reasons = (await auto_world.case(bill))["reasons"]
    assert [(r["rule"], r["needed"], r["actual"]) for r in reasons] == [("reminders", 3, 2)]
    assert await auto_world.planned() is None


async def test_no_rung_before_any_reminder_is_even_planned(world: Any) -> None:
    customer = await world.customer()
    await customer.invoice()
    assert await world.planned() is None


async def test_a_reminder_on_the_day_keeps_the_demand_away_for_five(auto_world: Any, day: Day) -> None:
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await auto_world.remind(bill, 1, 7, 14, 30, 35)
    assert [rung for rung, _, _ in await auto_world.taken()] == ["account-manager"]
    await auto_world.live_until(day(45), demands=False)
    assert (await auto_world.taken())[-1] == ("formal-demand", 42, "simulation")


async def test_other_invoices_of_the_customer_do_not_keep_a_demand_away(auto_world: Any, day: Day) -> None:
    """A customer with many invoices hears from us every day; the demand for one of them comes all the same."""
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await auto_world.remind(bill, 1, 7, 14)
    for offset in range(15, 31):
        other = await customer.invoice(f"other-{offset}", due=day(offset) - timedelta(days=1))
        await auto_world.live_until(day(offset) - timedelta(days=1))
        auto_world.go(day(offset))
        await other.remind()
        await auto_world.rungs()
    assert ("formal-demand", 30, "simulation") in await auto_world.taken()


async def test_a_message_that_lists_the_invoice_beside_another_counts_for_both(auto_world: Any, day: Day) -> None:
    customer = await auto_world.customer()
    one, two = await customer.invoice("one"), await customer.invoice("two")
    auto_world.go(day(1))
    await auto_world.send(customer, [one, two], Stage.OVERDUE, "day-after")
    assert [(await auto_world.case(bill))["reminders_sent"] for bill in (one, two)] == [1, 1]


async def test_a_demand_that_did_not_leave_holds_the_ladder(auto_world: Any, day: Day) -> None:
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await auto_world.remind(bill, 1, 7, 14, 30)
    await auto_world.live_until(day(100), demands=False)
    assert [rung for rung, _, _ in await auto_world.taken()] == ["account-manager", "formal-demand"]
    assert (await auto_world.case(bill))["reasons"][0]["rule"] == "demand-not-sent"
    sent = await auto_world.demand((await auto_world.triggered())[1])
    await auto_world.live_until(day(109))
    assert (await auto_world.taken())[2:] == []
    await sent.bounce()
    await auto_world.live_until(day(130))
    assert (await auto_world.taken())[2:] == []
    await auto_world.demand((await auto_world.triggered())[1])
    await auto_world.live_until(day(143))
    assert [(rung, overdue) for rung, overdue, _ in await auto_world.taken()][2:] == [("suspension", 140)]


async def test_downtime_over_the_opening_is_made_up_for_on_an_allowed_day_only(auto_world: Any, day: Day) -> None:
    """Asleep from before Monday's opening: woken on Sunday nothing is taken; on a working day it is, later that day."""
    customer = await auto_world.customer()
    bill = await customer.invoice()
    for offset in (1, 7):
        auto_world.go(day(offset))
        await bill.remind()
    auto_world.go(date(2026, 4, 5), time(15))
    assert await auto_world.rungs() == 1
    assert await auto_world.taken() == []
    auto_world.go(date(2026, 4, 7), time(15))
    await auto_world.rungs()
    assert await auto_world.taken() == [("account-manager", 22, None)]


async def test_an_idle_run_asks_the_database_nothing(world: Any) -> None:
    customer = await world.customer()
    await customer.invoice()
    assert await world.rungs() == 0
    with sent_by(world.service.db.engine) as statements:
        assert await world.rungs() == 0
        assert await world.planned() is None
    assert statements == []


@pytest.mark.parametrize("customers", [130])
async def test_more_customers_than_a_batch_are_all_looked_at(auto_world: Any, day: Day, customers: int) -> None:
    debtors = [await auto_world.customer(f"{n:08d}", settle=False) for n in range(customers)]
    bills = [await debtor.invoice(f"R-{n}", settle=False) for n, debtor in enumerate(debtors)]
    for offset in (1, 7):
        auto_world.go(day(offset))
        dues = [
            auto_world.due(debtor, [bill], Stage.OVERDUE, "day-after")
            for debtor, bill in zip(debtors, bills, strict=True)
        ]
        await auto_world.publish(*dues, *(auto_world.accepted(due) for due in dues))
    auto_world.go(day(14))
    assert await auto_world.rungs() == customers
    assert len(await auto_world.triggered()) == customers
