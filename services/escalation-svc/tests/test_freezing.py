"""What ends a case, freezes it and thaws it, and events in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from uuid6 import uuid7

from remit_events.escalations import EscalationResolved
from remit_events.invoices import DisputeOpened, DisputeResolved, FollowUpHeld, InvoicePaid
from remit_events.state import Hold, Stage

Day = Callable[[int], date]
BERLIN = ZoneInfo("Europe/Berlin")


async def test_payment_closes_the_case_at_any_rung(auto_world: Any, day: Day) -> None:
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await auto_world.remind(bill, 1, 7, 14, 30)
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
    await auto_world.remind(bill, 1, 7, 14)
    await bill.paid()
    await bill.reversed()
    await auto_world.live_until(day(31))
    assert [rung for rung, _, _ in await auto_world.taken()] == ["account-manager", "formal-demand"]


async def test_a_void_invoice_resolves_as_void(auto_world: Any, day: Day) -> None:
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await auto_world.remind(bill, 1, 7, 14)
    await bill.void()
    assert [e.outcome for e in await auto_world.said() if isinstance(e, EscalationResolved)] == ["void"]


async def test_a_dispute_freezes_and_its_end_thaws(auto_world: Any, day: Day) -> None:
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await auto_world.remind(bill, 1, 7, 14)
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
    assert (await auto_world.taken())[1:] == [("formal-demand", 63, "simulation")]


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
    assert await auto_world.taken() == [("account-manager", 22, None), ("account-manager", 22, None)]


async def test_changing_profile_or_zone_plans_again(auto_world: Any, day: Day) -> None:
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await auto_world.remind(bill, 1, 7, 14)
    assert (await auto_world.planned()).astimezone(BERLIN).date() == date(2026, 4, 15)
    await customer.change(profile="government")
    assert (await auto_world.planned()).astimezone(BERLIN).date() == date(2026, 5, 5)
    await customer.change(timezone="America/New_York", country="US")
    assert await auto_world.planned() == datetime(2026, 5, 5, 13, tzinfo=UTC)


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
    await never_world.remind(bill, 1, 7, 14, 30)
    await never_world.live_until(day(100))
    assert [rung for rung, _, _ in await never_world.taken()] == ["account-manager"]
    assert (await never_world.get("/v1/approvals"))["data"] == []
    assert await never_world.planned() is None
