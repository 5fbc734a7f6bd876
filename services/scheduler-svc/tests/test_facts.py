"""What invoice-svc tells: payments, disputes, holds, promises."""

from __future__ import annotations

from datetime import date

from remit_testing.scheduler_world import World
from uuid6 import uuid7

from remit_events.invoices import (
    DisputeOpened,
    DisputeResolved,
    FollowUpHeld,
    FollowUpReleased,
    InvoiceVoided,
    PromiseBroken,
    PromiseMade,
)
from remit_events.state import Hold, Promise


async def test_payment_closes_and_says_what_it_ended(world: World) -> None:
    _, invoice = await world.followed()
    await world.play("2026-02-01 12:00")
    # day-after falls on Tuesday the 3rd; paid on Wednesday while nothing ran
    world.at("2026-02-04 00:00")
    await world.tell(world.paid(invoice, date(2026, 2, 4)))
    await world.sweep()
    assert await world.log(invoice) == [
        ("courtesy", "sent", "sent"),
        ("tomorrow", "sent", "sent"),
        ("day-after", "suppressed", "paid"),
    ]
    assert await world.rows("SELECT 1 FROM follow_up WHERE NOT closed") == []
    assert await world.task("sweep").next_at() is None


async def test_a_reversed_payment_resumes(world: World) -> None:
    _, invoice = await world.followed()
    world.at("2026-01-20 00:00")
    await world.tell(world.paid(invoice, date(2026, 1, 20)))
    await world.sweep()
    world.at("2026-02-05 10:00")
    await world.tell(world.reversed(invoice, date(2026, 2, 5)))
    (due,) = await world.settle()
    assert due.step == "day-after"


async def test_void_ends_it(world: World) -> None:
    _, invoice = await world.followed()
    world.at("2026-02-10 06:00")
    await world.tell(InvoiceVoided(**world.about(invoice), invoice=world.changed(invoice, status="void"), reason="x"))
    await world.sweep()
    assert {(outcome, rule) for _, outcome, rule in await world.log(invoice)} == {("suppressed", "void")}
    assert [step for step, _, _ in await world.log(invoice)] == ["courtesy", "tomorrow", "day-after", "second"]


async def test_a_dispute_in_full_suppresses_what_falls_due_and_its_end_resumes(world: World) -> None:
    _, invoice = await world.followed()
    opened = {"dispute_id": uuid7(), "amount_minor": 10000}
    disputed = world.changed(invoice, disputed_minor=10000)
    await world.tell(DisputeOpened(**world.about(invoice), invoice=disputed, **opened, reason="wrong"))
    await world.play("2026-02-05 00:00")
    assert [rule for _, _, rule in await world.log(invoice)] == ["disputed"] * 3
    settled = world.changed(invoice, disputed_minor=0)
    await world.tell(DisputeResolved(**world.about(invoice), invoice=settled, **opened, outcome="rejected"))
    gone = await world.play("2026-02-12 00:00")
    assert [due.step for due in gone] == ["second"]


async def test_a_hold_defers_and_a_release_sends_the_hardest_missed(world: World) -> None:
    _, invoice = await world.followed()
    held = world.changed(invoice, hold=Hold(reason="talking"))
    await world.tell(FollowUpHeld(**world.about(invoice), invoice=held, reason="talking"))
    await world.play("2026-02-10 12:00")
    log = await world.log(invoice)
    assert log == [
        ("courtesy", "deferred", "held"),
        ("tomorrow", "deferred", "held"),
        ("courtesy", "skipped", "too-late"),
        ("tomorrow", "skipped", "too-late"),
        ("day-after", "deferred", "held"),
        ("second", "deferred", "held"),
    ]
    free = world.changed(invoice, hold=None)
    await world.tell(FollowUpReleased(**world.about(invoice), invoice=free, reason="agreed"))
    (due,) = await world.settle()
    assert due.step == "second"
    assert (await world.log(invoice))[-2:] == [("second", "sent", "sent"), ("day-after", "merged", "harder-step")]


async def test_a_promise_pauses_and_broken_goes_on_one_step_harder(world: World) -> None:
    _, invoice = await world.followed()
    await world.play("2026-02-06 12:00")
    promise = Promise(id=uuid7(), on=date(2026, 2, 10), amount_minor=10000, grace_until=date(2026, 2, 11))
    await world.tell(
        PromiseMade(**world.about(invoice), invoice=world.changed(invoice, promise=promise), promise=promise)
    )
    await world.play("2026-02-12 00:00")
    assert (await world.log(invoice))[-1] == ("second", "deferred", "promise")
    broken = world.changed(invoice, promise=None, promises_broken=1)
    await world.tell(PromiseBroken(**world.about(invoice), invoice=broken, promise=promise))
    gone = await world.play("2026-02-28 00:00")
    assert [(due.step, due.tone) for due in gone] == [("third", "firm")]


async def test_a_stale_state_never_overwrites_a_newer_one(world: World) -> None:
    _, invoice = await world.followed()
    newer = world.changed(invoice, balance_minor=4000)
    await world.tell(FollowUpReleased(**world.about(invoice), invoice=newer, reason="x"))
    await world.tell(FollowUpReleased(**world.about(invoice), invoice=invoice, reason="x"))
    (row,) = await world.rows("SELECT snapshot FROM follow_up")
    assert row.snapshot["balance_minor"] == 4000


async def test_events_of_an_unknown_customer_are_put_aside(world: World) -> None:
    customer = await world.customer()
    stranger = customer.model_copy(update={"id": uuid7()})
    world.at("2026-01-02 08:00")
    await world.issue(stranger, "R-unknown")
    await world.issue(customer, "R1")
    (letter,) = await world.rows("SELECT error FROM dead_letter")
    assert "is not known yet" in letter.error
    assert len(await world.rows("SELECT 1 FROM follow_up")) == 1


async def test_a_batch_of_many_events_about_one_invoice(world: World) -> None:
    customer, invoice = await world.followed()
    due = await world.go("2026-01-26 09:00")
    half = world.changed(invoice, balance_minor=5000, status="partly_paid")
    await world.tell(
        world.sent(due),
        FollowUpHeld(**world.about(invoice), invoice=world.changed(half, hold=Hold(reason="x")), reason="x"),
        FollowUpReleased(**world.about(invoice), invoice=world.changed(half, hold=None), reason="x"),
        world.paid(invoice, date(2026, 1, 26)),
    )
    await world.sweep()
    assert await world.log(invoice) == [("courtesy", "sent", "sent")]
    (row,) = await world.rows("SELECT closed, closed_on FROM follow_up")
    assert (row.closed, row.closed_on) == (True, date(2026, 1, 26))
    assert customer.version == 1
