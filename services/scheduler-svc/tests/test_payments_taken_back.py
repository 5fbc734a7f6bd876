"""A payment taken back: what it had ended is followed up again, on the days it was planned for, and nothing twice."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from remit_testing.scheduler_world import World
from uuid6 import uuid7

from remit_events.invoices import DisputeOpened, PromiseBroken, PromiseKept, PromiseMade, PromiseReopened
from remit_events.schedule import FollowUpExhausted, PaymentDue
from remit_events.state import InvoiceState, Promise

OVERDUE = ["day-after", "second", "third", "final-notice"]
# Came in on Wednesday 4 March, 30 days overdue: day-after at once, the others at their distances from it.
DAYS = [date(2026, 3, 4), date(2026, 3, 10), date(2026, 3, 17), date(2026, 4, 2)]


@pytest.fixture
async def old(world: World) -> InvoiceState:
    """Old debt that came in this morning."""
    customer = await world.customer()
    world.at("2026-03-04 07:00")
    return await world.issue(customer)


async def bounce(world: World, invoice: InvoiceState, paid: str, back: str, **changes: Any) -> None:
    """Paid at one moment and taken back at another, the sweep looking at both; `changes` came with the bounce."""
    world.at(paid)
    await world.tell(world.paid(invoice, date.fromisoformat(paid[:10])))
    await world.settle()
    world.at(back)
    await world.tell(world.reversed(invoice, date.fromisoformat(back[:10]), **changes))


def steps(gone: list[PaymentDue]) -> list[tuple[str, date]]:
    return [(due.step, due.local_date) for due in gone]


async def test_old_debt_is_chased_as_if_it_had_not_been_paid(world: World, old: InvoiceState) -> None:
    _, _, *before = (await world.get("/v1/follow-ups/R1/plan"))["steps"]
    await bounce(world, old, "2026-03-04 07:30", "2026-03-04 08:00")
    _, _, *after = (await world.get("/v1/follow-ups/R1/plan"))["steps"]
    assert after == before
    assert steps(await world.play("2026-06-01 00:00")) == list(zip(OVERDUE, DAYS, strict=True))
    finals = [(step, outcome) for step, outcome, _ in await world.log(old) if step in OVERDUE]
    # final-notice falls on the day of payment by the calendar: it was not ended by it
    assert finals == [(step, "suppressed") for step in OVERDUE[:3]] + [(step, "sent") for step in OVERDUE]


async def test_what_was_sent_before_the_payment_is_not_sent_again(world: World, old: InvoiceState) -> None:
    before = await world.play("2026-03-11 00:00")
    await bounce(world, old, "2026-03-12 07:30", "2026-03-13 08:00")
    after = await world.play("2026-06-01 00:00")
    assert (steps(before), steps(after)) == (
        list(zip(OVERDUE[:2], DAYS[:2], strict=True)),
        list(zip(OVERDUE[2:], DAYS[2:], strict=True)),
    )
    assert await world.published(FollowUpExhausted) == []  # told already, by the last sweep
    (row,) = await world.rows("SELECT exhausted, closed FROM follow_up")
    assert (row.exhausted, row.closed) == (True, False)


async def test_taken_back_late_it_is_caught_up_with_by_one_message(world: World, old: InvoiceState) -> None:
    await bounce(world, old, "2026-03-04 07:30", "2026-03-18 08:00")
    gone = await world.play("2026-06-01 00:00")
    assert steps(gone) == [("third", date(2026, 3, 18)), ("final-notice", date(2026, 4, 2))]
    assert (await world.log(old))[-4:-1] == [
        ("third", "sent", "sent"),
        ("day-after", "merged", "harder-step"),
        ("second", "merged", "harder-step"),
    ]


async def test_a_promise_that_runs_again_pauses_and_broken_goes_on_one_step_harder(
    world: World, old: InvoiceState
) -> None:
    await world.play("2026-03-05 00:00")
    promise = Promise(id=uuid7(), on=date(2026, 3, 11), amount_minor=10000, grace_until=date(2026, 3, 12))
    await world.tell(
        PromiseMade(**world.about(old), invoice=world.changed(old, promise=promise), promise=promise),
        PromiseKept(**world.about(old), invoice=world.changed(old, promise=None), promise=promise),
    )
    await bounce(world, old, "2026-03-06 07:30", "2026-03-09 08:00", promise=promise)
    reopened = world.invoices[old.id]
    await world.tell(PromiseReopened(**world.about(old), invoice=reopened, promise=promise))
    assert await world.play("2026-03-13 00:00") == []
    assert (await world.log(old))[-1] == ("second", "deferred", "promise")
    broken = world.changed(old, promise=None, promises_broken=1)
    await world.tell(PromiseBroken(**world.about(old), invoice=broken, promise=promise))
    gone = await world.play("2026-06-01 00:00")
    assert steps(gone) == [("third", date(2026, 3, 13)), ("final-notice", DAYS[3])]


async def test_a_promise_broken_by_the_bounce_goes_on_one_step_harder(world: World, old: InvoiceState) -> None:
    await world.play("2026-03-05 00:00")
    await bounce(world, old, "2026-03-06 07:30", "2026-03-16 08:00", promises_broken=1)
    promise = Promise(id=uuid7(), on=date(2026, 3, 11), amount_minor=10000, grace_until=date(2026, 3, 12))
    await world.tell(PromiseBroken(**world.about(old), invoice=world.invoices[old.id], promise=promise))
    assert [due.step for due in await world.play("2026-06-01 00:00")] == ["third", "final-notice"]


async def test_it_may_bounce_again_and_again(world: World, old: InvoiceState) -> None:
    await bounce(world, old, "2026-03-04 07:20", "2026-03-04 07:40")
    await bounce(world, old, "2026-03-04 07:50", "2026-03-04 08:00")
    assert [step for step, _ in steps(await world.play("2026-06-01 00:00"))] == OVERDUE
    world.at("2026-06-01 10:00")
    await bounce(world, old, "2026-06-02 10:00", "2026-06-03 10:00")
    assert await world.play("2026-09-01 00:00") == [], "every step was sent"


async def test_a_step_refused_at_sending_as_paid_comes_back(world: World, old: InvoiceState) -> None:
    due = await world.go("2026-03-04 09:00")
    await world.tell(world.paid(old, date(2026, 3, 4)))
    seen = due.model_copy(update={"items": (due.items[0].model_copy(update={"invoice": world.invoices[old.id]}),)})
    await world.tell(world.cancelled(seen, {old.id: "paid"}, whole=True))
    await world.sweep()
    world.at("2026-03-05 10:00")
    await world.tell(world.reversed(old, date(2026, 3, 5)))
    (again,) = await world.settle()
    assert (again.step, again.touch_id != due.touch_id) == ("day-after", True)


async def test_a_refusal_heard_of_after_the_payment_was_taken_back_is_stale(world: World, old: InvoiceState) -> None:
    due = await world.go("2026-03-04 09:00")
    await world.tell(world.paid(old, date(2026, 3, 4)))
    seen = due.model_copy(update={"items": (due.items[0].model_copy(update={"invoice": world.invoices[old.id]}),)})
    await world.sweep()
    world.at("2026-03-04 10:00")
    await world.tell(world.reversed(old, date(2026, 3, 4)))
    assert await world.settle() == [], "it is still in flight"
    await world.tell(world.cancelled(seen, {old.id: "paid"}, whole=True))
    (again,) = await world.settle()
    assert again.step == "day-after"


async def test_a_dispute_ends_what_fell_due_in_it_and_the_payment_the_rest(world: World, old: InvoiceState) -> None:
    await world.play("2026-03-05 00:00")
    disputed = world.changed(old, disputed_minor=10000)
    opened = {"dispute_id": uuid7(), "amount_minor": 10000, "reason": "wrong"}
    await world.tell(DisputeOpened(**world.about(old), invoice=disputed, **opened))
    await world.play("2026-03-11 00:00")
    assert (await world.log(old))[-1] == ("second", "suppressed", "disputed")
    await bounce(world, old, "2026-03-12 07:30", "2026-03-13 08:00")
    assert steps(await world.play("2026-06-01 00:00")) == list(zip(OVERDUE[2:], DAYS[2:], strict=True))


async def test_old_debt_under_review_waits_for_it_again(world: World) -> None:
    customer = await world.customer()
    world.at("2026-10-05 07:00")
    invoice = await world.issue(customer)
    await bounce(world, invoice, "2026-10-05 07:30", "2026-10-06 08:00")
    assert await world.play("2026-12-01 00:00") == []
    assert (await world.log(invoice))[-1] == ("day-after", "deferred", "review")
