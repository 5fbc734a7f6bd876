"""Rungs in time: events in over the real bus, rungs out, on a real database with a clock that is set."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, text
from uuid6 import uuid7

from remit_events.escalations import EscalationResolved
from remit_events.invoices import Allocation, DisputeOpened, DisputeResolved, FollowUpHeld, InvoicePaid, PaymentReversed
from remit_events.schedule import Window
from remit_events.state import Channel, Hold, Stage

Day = Callable[[int], date]
BERLIN = ZoneInfo("Europe/Berlin")


async def reminded(world: Any, bill: Any, day: Day, *offsets: int) -> None:
    """Overdue reminders on the days named, and rungs looked at after each, as an instant goes."""
    for offset in offsets:
        await world.live_until(day(offset) - timedelta(days=1))
        world.go(day(offset))
        await bill.remind()
        await world.rungs()


async def taken(world: Any) -> list[tuple[str, int, str | None]]:
    return [(event.rung, event.days_overdue, event.approved_by) for event in await world.triggered()]


async def test_the_whole_ladder_in_order(auto_world: Any, day: Day) -> None:
    """Due Monday 16 March 2026: the demand 5 days after the +30 contact, day 90 is a Sunday."""
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await reminded(auto_world, bill, day, 1, 7, 14, 30)
    await auto_world.live_until(day(120))
    assert await taken(auto_world) == [
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
    await reminded(auto_world, bill, day, 7, 14)
    assert await auto_world.planned() == datetime(2026, 4, 7, 7, tzinfo=UTC)
    await auto_world.live_until(day(40))
    assert (await taken(auto_world))[0] == ("account-manager", 17, None)


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
    await reminded(auto_world, bill, day, -2, 0, 1)
    await bill.remind(channels=(Channel.EMAIL, Channel.SMS, Channel.LETTER))
    await auto_world.live_until(day(200))
    assert [rung for rung, _, _ in await taken(auto_world)] == ["account-manager"]
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
    await reminded(auto_world, bill, day, 1, 7, 14, 30, 35)
    assert [rung for rung, _, _ in await taken(auto_world)] == ["account-manager"]
    await auto_world.live_until(day(45), demands=False)
    assert (await taken(auto_world))[-1] == ("formal-demand", 42, "simulation")


async def test_other_invoices_of_the_customer_do_not_keep_a_demand_away(auto_world: Any, day: Day) -> None:
    """A customer with many invoices hears from us every day; the demand for one of them comes all the same."""
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await reminded(auto_world, bill, day, 1, 7, 14)
    for offset in range(15, 31):
        other = await customer.invoice(f"other-{offset}", due=day(offset) - timedelta(days=1))
        await auto_world.live_until(day(offset) - timedelta(days=1))
        auto_world.go(day(offset))
        await other.remind()
        await auto_world.rungs()
    assert ("formal-demand", 30, "simulation") in await taken(auto_world)


async def test_a_message_that_lists_the_invoice_beside_another_counts_for_both(auto_world: Any, day: Day) -> None:
    customer = await auto_world.customer()
    one, two = await customer.invoice("one"), await customer.invoice("two")
    auto_world.go(day(1))
    await auto_world.send(customer, [one, two], Stage.OVERDUE, "day-after")
    assert [(await auto_world.case(bill))["reminders_sent"] for bill in (one, two)] == [1, 1]


async def test_a_demand_that_did_not_leave_holds_the_ladder(auto_world: Any, day: Day) -> None:
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await reminded(auto_world, bill, day, 1, 7, 14, 30)
    await auto_world.live_until(day(100), demands=False)
    assert [rung for rung, _, _ in await taken(auto_world)] == ["account-manager", "formal-demand"]
    assert (await auto_world.case(bill))["reasons"][0]["rule"] == "demand-not-sent"
    sent = await auto_world.demand((await auto_world.triggered())[1])
    await auto_world.live_until(day(109))
    assert (await taken(auto_world))[2:] == []
    await sent.bounce()
    await auto_world.live_until(day(130))
    assert (await taken(auto_world))[2:] == []
    await auto_world.demand((await auto_world.triggered())[1])
    await auto_world.live_until(day(143))
    assert [(rung, overdue) for rung, overdue, _ in await taken(auto_world)][2:] == [("suspension", 140)]


async def test_payment_closes_the_case_at_any_rung(auto_world: Any, day: Day) -> None:
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await reminded(auto_world, bill, day, 1, 7, 14, 30)
    await auto_world.live_until(day(50))
    await bill.paid()
    resolved = [e for e in await auto_world.said() if isinstance(e, EscalationResolved)]
    assert [(e.invoice_id, e.outcome) for e in resolved] == [(bill.state.id, "paid")]
    assert await auto_world.planned() is None
    case = await auto_world.case(bill)
    assert (case["status"], case["outcome"], case["case_id"]) == ("closed", "paid", str(resolved[0].case_id))
    assert {task["status"] for task in (await auto_world.get("/v1/tasks"))["data"]} == {"done"}


async def test_an_invoice_paid_before_any_rung_ends_quietly(auto_world: Any) -> None:
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await bill.paid()
    assert await auto_world.said() == []
    assert (await auto_world.case(bill))["status"] == "closed"


async def test_a_payment_taken_back_goes_on_where_it_was(auto_world: Any, day: Day) -> None:
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await reminded(auto_world, bill, day, 1, 7, 14)
    await bill.paid()
    state = bill.after(status="issued", balance_minor=100_000)
    given = {"payment_id": uuid7(), "reference": "x", "currency": "EUR", "amount_minor": -100_000, "reason": "bounced"}
    allocation = Allocation(amount_minor=-100_000, invoice=state)
    keys = auto_world.keys(customer)
    await auto_world.publish(PaymentReversed(**keys, **given, received_on=auto_world.today, allocations=(allocation,)))
    await auto_world.live_until(day(31))
    assert [rung for rung, _, _ in await taken(auto_world)] == ["account-manager", "formal-demand"]


async def test_a_void_invoice_resolves_as_void(auto_world: Any, day: Day) -> None:
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await reminded(auto_world, bill, day, 1, 7, 14)
    await bill.void()
    assert [e.outcome for e in await auto_world.said() if isinstance(e, EscalationResolved)] == ["void"]


async def test_a_dispute_freezes_and_its_end_thaws(auto_world: Any, day: Day) -> None:
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await reminded(auto_world, bill, day, 1, 7, 14)
    dispute = {"dispute_id": uuid7(), "amount_minor": 100_000}
    await bill.change(DisputeOpened, {**dispute, "reason": "never arrived"}, disputed_minor=100_000)
    assert (await auto_world.case(bill))["status"] == "frozen"
    assert await auto_world.planned() is None
    await auto_world.live_until(day(60))
    auto_world.go(day(60), time(14))
    await bill.change(DisputeResolved, {**dispute, "outcome": "it did arrive"}, disputed_minor=0)
    # Thawed after today's opening: looked at on the next working day's.
    assert await auto_world.planned() == datetime(2026, 5, 18, 7, tzinfo=UTC)
    await auto_world.live_until(day(64))
    assert (await taken(auto_world))[1:] == [("formal-demand", 63, "simulation")]


async def test_a_hold_on_the_customer_freezes_all_their_cases_until_it_ends(auto_world: Any, day: Day) -> None:
    customer = await auto_world.customer()
    bills = [await customer.invoice("one"), await customer.invoice("two")]
    for offset in (7, 8):
        auto_world.go(day(offset))
        for bill in bills:
            await bill.remind()
    hold = Hold(reason="merger", until=day(20))
    customer.state = customer.state.model_copy(update={"hold": hold, "version": 2})
    keys = auto_world.keys(customer)
    await auto_world.publish(FollowUpHeld(**keys, customer=customer.state, reason="merger", until=day(20)))
    assert [(await auto_world.case(bill))["status"] for bill in bills] == ["frozen", "frozen"]
    await auto_world.live_until(day(30))
    # The hold's last day is Sunday 5 April; Monday is Easter's.
    assert await taken(auto_world) == [("account-manager", 22, None), ("account-manager", 22, None)]


async def test_changing_profile_or_zone_plans_again(auto_world: Any, day: Day) -> None:
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await reminded(auto_world, bill, day, 1, 7, 14)
    assert (await auto_world.planned()).astimezone(BERLIN).date() == date(2026, 4, 15)
    await customer.change(profile="government")
    assert (await auto_world.planned()).astimezone(BERLIN).date() == date(2026, 5, 5)
    await customer.change(timezone="America/New_York", country="US")
    assert await auto_world.planned() == datetime(2026, 5, 5, 13, tzinfo=UTC)


async def test_downtime_over_the_opening_is_made_up_for_on_an_allowed_day_only(auto_world: Any, day: Day) -> None:
    """Asleep from before Monday's opening: woken on Sunday nothing is taken; on a working day it is, later that day."""
    customer = await auto_world.customer()
    bill = await customer.invoice()
    for offset in (1, 7):
        auto_world.go(day(offset))
        await bill.remind()
    auto_world.go(date(2026, 4, 5), time(15))
    assert await auto_world.rungs() == 1
    assert await taken(auto_world) == []
    auto_world.go(date(2026, 4, 7), time(15))
    await auto_world.rungs()
    assert await taken(auto_world) == [("account-manager", 22, None)]


async def test_events_in_any_order_and_more_than_once_end_the_same(auto_world: Any, day: Day) -> None:
    """A schedule topic ahead of the invoices topic; a stale state last; every event twice."""
    customer = await auto_world.customer()
    bill = auto_world.invoice_state(customer.state.id, "R-9", day(0), 100_000)
    from_scheduler = type("Bill", (), {"state": bill})()
    auto_world.go(day(1))
    due = auto_world.due(customer, [from_scheduler], Stage.OVERDUE, "day-after")
    sent = auto_world.accepted(due)
    paid = bill.model_copy(update={"status": "paid", "balance_minor": 0, "version": 3})
    keys = auto_world.keys(customer)
    events = [
        sent,
        due,
        InvoicePaid(**keys, invoice=paid, payment_id=uuid7(), paid_on=day(1), days_late=1),
        due,
        sent,
    ]
    await auto_world.publish(*events)
    case = (await auto_world.get("/v1/cases", invoice="R-9"))["data"][0]
    assert (case["status"], case["outcome"]) == ("closed", "paid")
    detail = await auto_world.get(f"/v1/cases/{case['case_id']}")
    assert sorted(m["status"] for m in detail["messages"]) == ["planned", "sent"]


async def test_an_approval_never_asked_for_when_the_installation_gives_none(never_world: Any, day: Day) -> None:
    customer = await never_world.customer()
    bill = await customer.invoice()
    await reminded(never_world, bill, day, 1, 7, 14, 30)
    await never_world.live_until(day(100))
    assert [rung for rung, _, _ in await taken(never_world)] == ["account-manager"]
    assert (await never_world.get("/v1/approvals"))["data"] == []
    assert await never_world.planned() is None


async def test_an_idle_run_asks_the_database_nothing(world: Any) -> None:
    customer = await world.customer()
    await customer.invoice()
    assert await world.rungs() == 0
    statements: list[str] = []
    engine = world.service.db.engine.sync_engine

    def count(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(engine, "before_cursor_execute", count)
    try:
        assert await world.rungs() == 0
        assert await world.planned() is None
    finally:
        event.remove(engine, "before_cursor_execute", count)
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
