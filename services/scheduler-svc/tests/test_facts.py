"""What the other services tell: payments, disputes, holds, deliveries, addresses, escalations."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from remit_testing.scheduler_world import World
from uuid6 import uuid7

from remit_events.escalations import EscalationResolved, EscalationTriggered
from remit_events.invoices import (
    DisputeOpened,
    DisputeResolved,
    FollowUpHeld,
    FollowUpReleased,
    InvoiceVoided,
    PaymentReversed,
    PromiseBroken,
    PromiseMade,
)
from remit_events.notifications import ContactRestored, ContactSuppressed
from remit_events.schedule import PaymentDue, TouchSuppressed
from remit_events.state import Channel, CustomerState, Hold, InvoiceState, Promise
from scheduler_svc.channels import address_hash


async def followed(world: World, **given: Any) -> tuple[CustomerState, InvoiceState]:
    """A customer with an invoice issued on 2 January, due on 2 February 2026."""
    customer = await world.customer(**given)
    world.at("2026-01-02 08:00")
    return customer, await world.issue(customer)


async def go(world: World, local: str) -> PaymentDue:
    """The one message that goes at a moment, not answered yet."""
    world.at(local)
    await world.sweep()
    (due,) = await world.published(PaymentDue)
    return due


def about(world: World, invoice: InvoiceState) -> dict[str, Any]:
    return {"seller_id": world.seller.id, "customer_id": invoice.customer_id}


async def test_payment_closes_and_says_what_it_ended(world: World) -> None:
    _, invoice = await followed(world)
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
    _, invoice = await followed(world)
    world.at("2026-01-20 00:00")
    await world.tell(world.paid(invoice, date(2026, 1, 20)))
    await world.sweep()
    world.at("2026-02-05 10:00")
    again = world.changed(invoice, status="issued", balance_minor=10000)
    await world.tell(
        PaymentReversed(
            **about(world, invoice),
            payment_id=uuid7(),
            reference="x",
            currency="EUR",
            amount_minor=-10000,
            received_on=date(2026, 2, 5),
            allocations=({"amount_minor": -10000, "invoice": again},),
            reason="chargeback",
        )
    )
    (due,) = await world.settle()
    assert due.step == "day-after"


async def test_void_ends_it(world: World) -> None:
    _, invoice = await followed(world)
    world.at("2026-02-10 06:00")
    await world.tell(InvoiceVoided(**about(world, invoice), invoice=world.changed(invoice, status="void"), reason="x"))
    await world.sweep()
    assert {(outcome, rule) for _, outcome, rule in await world.log(invoice)} == {("suppressed", "void")}
    assert [step for step, _, _ in await world.log(invoice)] == ["courtesy", "tomorrow", "day-after", "second"]


async def test_a_dispute_in_full_suppresses_what_falls_due_and_its_end_resumes(world: World) -> None:
    _, invoice = await followed(world)
    opened = {"dispute_id": uuid7(), "amount_minor": 10000}
    disputed = world.changed(invoice, disputed_minor=10000)
    await world.tell(DisputeOpened(**about(world, invoice), invoice=disputed, **opened, reason="wrong"))
    await world.play("2026-02-05 00:00")
    assert [rule for _, _, rule in await world.log(invoice)] == ["disputed"] * 3
    settled = world.changed(invoice, disputed_minor=0)
    await world.tell(DisputeResolved(**about(world, invoice), invoice=settled, **opened, outcome="rejected"))
    gone = await world.play("2026-02-12 00:00")
    assert [due.step for due in gone] == ["second"]


async def test_a_hold_defers_and_a_release_sends_the_hardest_missed(world: World) -> None:
    _, invoice = await followed(world)
    held = world.changed(invoice, hold=Hold(reason="talking"))
    await world.tell(FollowUpHeld(**about(world, invoice), invoice=held, reason="talking"))
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
    await world.tell(FollowUpReleased(**about(world, invoice), invoice=free, reason="agreed"))
    (due,) = await world.settle()
    assert due.step == "second"
    assert (await world.log(invoice))[-2:] == [("second", "sent", "sent"), ("day-after", "merged", "harder-step")]


async def test_a_promise_pauses_and_broken_goes_on_one_step_harder(world: World) -> None:
    _, invoice = await followed(world)
    await world.play("2026-02-06 12:00")
    promise = Promise(id=uuid7(), on=date(2026, 2, 10), amount_minor=10000, grace_until=date(2026, 2, 11))
    await world.tell(
        PromiseMade(**about(world, invoice), invoice=world.changed(invoice, promise=promise), promise=promise)
    )
    await world.play("2026-02-12 00:00")
    assert (await world.log(invoice))[-1] == ("second", "deferred", "promise")
    broken = world.changed(invoice, promise=None, promises_broken=1)
    await world.tell(PromiseBroken(**about(world, invoice), invoice=broken, promise=promise))
    gone = await world.play("2026-02-28 00:00")
    assert [(due.step, due.tone) for due in gone] == [("third", "firm")]


async def test_a_stale_state_never_overwrites_a_newer_one(world: World) -> None:
    _, invoice = await followed(world)
    newer = world.changed(invoice, balance_minor=4000)
    await world.tell(FollowUpReleased(**about(world, invoice), invoice=newer, reason="x"))
    await world.tell(FollowUpReleased(**about(world, invoice), invoice=invoice, reason="x"))
    (row,) = await world.rows("SELECT snapshot FROM follow_up")
    assert row.snapshot["balance_minor"] == 4000


class TestDeliveries:
    async def test_a_dropped_item_ends_and_the_rest_is_sent(self, world: World) -> None:
        customer, first = await followed(world)
        second = await world.issue(customer, "R2")
        due = await go(world, "2026-01-26 09:00")
        await world.tell(
            world.cancelled(due, {second.id: "paid"}, whole=False),
            world.sent(due, items=tuple(item for item in due.items if item.invoice.id == first.id)),
        )
        assert await world.log(first) == [("courtesy", "sent", "sent")]
        assert await world.log(second) == [("courtesy", "suppressed", "paid")]
        assert len(await world.rows("SELECT 1 FROM contact")) == 1

    async def test_without_its_leading_item_the_rest_is_decided_again(self, world: World) -> None:
        customer, first = await followed(world)
        await world.issue(customer, "R2")
        due = await go(world, "2026-01-26 09:00")
        await world.tell(world.cancelled(due, {first.id: "paid"}, whole=True))
        assert await world.rows("SELECT 1 FROM contact") == []
        again = await go(world, "2026-01-26 09:00")
        assert again.touch_id != due.touch_id
        assert [item.invoice.number for item in again.items] == ["R2"]

    async def test_refused_for_now_it_waits_and_is_not_tried_at_once(self, world: World) -> None:
        _, invoice = await followed(world)
        due = await go(world, "2026-01-26 09:00")
        await world.tell(world.cancelled(due, {invoice.id: "held"}, whole=True))
        assert await world.log(invoice) == [("courtesy", "deferred", "held")]
        await world.sweep()
        assert await world.published(PaymentDue) == []
        assert await world.task("sweep").next_at() == world.clock.now() + timedelta(minutes=1)

    async def test_past_its_time_it_is_decided_again_in_the_next_window(self, world: World) -> None:
        _, invoice = await followed(world)
        due = await go(world, "2026-01-26 09:00")
        world.at("2026-01-26 17:00")
        await world.tell(world.cancelled(due, {}, whole=True, rule="expired"))
        await world.sweep()
        assert await world.log(invoice) == [("courtesy", "deferred", "outside-window")]
        assert (await go(world, "2026-01-27 09:00")).step == "courtesy"

    async def test_when_every_channel_failed_it_goes_on_the_next_with_the_same_touch(self, world: World) -> None:
        _, invoice = await followed(world, phone="+4915112345678", sms_consent=False)
        due = await go(world, "2026-02-03 09:00")
        assert due.channels == (Channel.EMAIL,)
        await world.tell(world.failed(due))
        again = await go(world, "2026-02-03 09:00")
        assert (again.touch_id, again.channels) == (due.touch_id, (Channel.LETTER,))
        await world.tell(world.sent(again))
        assert (await world.log(invoice))[-1] == ("day-after", "sent", "sent")
        assert len(await world.rows("SELECT 1 FROM contact")) == 1

    async def test_a_fallback_keeps_window_and_counts_on_its_own_day(self, world: World) -> None:
        _, invoice = await followed(world)
        due = await go(world, "2026-02-03 09:00")
        world.at("2026-02-03 18:00")
        await world.tell(world.failed(due))
        await world.sweep()
        assert await world.published(PaymentDue) == []
        assert (await world.log(invoice))[-1] == ("day-after", "deferred", "outside-window")
        again = await go(world, "2026-02-04 09:00")
        assert again.touch_id == due.touch_id
        (row,) = await world.rows("SELECT on_date FROM contact")
        assert row.on_date == date(2026, 2, 4)

    async def test_none_left_it_is_undeliverable_and_no_contact(self, world: World) -> None:
        _, invoice = await followed(world, address=None)
        due = await go(world, "2026-02-03 09:00")
        await world.tell(world.failed(due))
        await world.sweep()
        assert (await world.log(invoice))[-1] == ("day-after", "suppressed", "undeliverable")
        assert await world.rows("SELECT 1 FROM contact") == []

    async def test_one_failed_channel_of_two_changes_nothing(self, world: World) -> None:
        _, invoice = await followed(world)
        due = await go(world, "2026-01-26 09:00")
        await world.tell(world.failed(due, touch_failed=False), world.sent(due))
        assert await world.log(invoice) == [("courtesy", "sent", "sent")]
        assert await world.sweep() == 0

    async def test_a_payment_after_the_failure_ends_it(self, world: World) -> None:
        _, invoice = await followed(world)
        due = await go(world, "2026-02-03 09:00")
        await world.tell(world.failed(due), world.paid(invoice, date(2026, 2, 3)))
        await world.sweep()
        assert (await world.log(invoice))[-1] == ("day-after", "suppressed", "paid")
        assert await world.published(PaymentDue) == []

    async def test_facts_told_twice_change_nothing(self, world: World) -> None:
        _, invoice = await followed(world)
        due = await go(world, "2026-01-26 09:00")
        for _ in range(2):
            await world.tell(world.sent(due))
            await world.tell(world.sent(due), world.sent(due))
        assert await world.log(invoice) == [("courtesy", "sent", "sent")]


class TestAddresses:
    @staticmethod
    def closing(world: World, customer: CustomerState, kind: type = ContactSuppressed) -> Any:
        sha = address_hash(Channel.EMAIL, customer.email or "")
        values = {"seller_id": world.seller.id, "customer_id": customer.id, "channel": Channel.EMAIL}
        return kind(**values, recipient_sha256=sha, reason="unsubscribed")

    async def test_a_closed_address_is_not_used_and_required_notices_go_by_letter(self, world: World) -> None:
        customer, invoice = await followed(world)
        await world.tell(self.closing(world, customer))
        gone = await world.play("2026-02-04 00:00")
        assert [(due.step, due.channels) for due in gone] == [("day-after", (Channel.LETTER,))]
        assert (await world.log(invoice))[0] == ("courtesy", "suppressed", "no-channel")

    async def test_it_is_closed_for_everyone_who_has_it_and_opens_again(self, world: World) -> None:
        customer, _ = await followed(world)
        other = await world.customer("C2", email=(customer.email or "").upper())
        await world.tell(self.closing(world, customer))
        later = await world.customer("C3", email=customer.email)
        rows = await world.rows("SELECT cardinality(suppressed) AS n FROM customer")
        assert [row.n for row in rows] == [1, 1, 1]
        await world.tell(self.closing(world, other, ContactRestored))
        rows = await world.rows("SELECT cardinality(suppressed) AS n FROM customer")
        assert [row.n for row in rows] == [0, 0, 0]
        assert later.email == customer.email


class TestEscalation:
    @staticmethod
    def rung(world: World, invoice: InvoiceState, **given: Any) -> EscalationTriggered:
        values = about(world, invoice) | {
            "case_id": uuid7(), "invoice": world.invoices[invoice.id], "rung": "formal-demand",
            "action": "formal_demand", "approved_by": "Kim", "reminders_sent": 3, "days_overdue": 30,
            "balance_minor": 10000, "ladder_key": "default", "ladder_version": 1, "evidence_sha256": "0" * 64,
            "demand_deadline": date(2026, 3, 20),
        }  # fmt: skip
        return EscalationTriggered(**(values | given))

    async def test_a_demand_passes_the_gate_and_reminders_end(self, world: World) -> None:
        _, invoice = await followed(world)
        await world.play("2026-02-20 18:00")
        await world.tell(self.rung(world, invoice))
        (due,) = await world.play("2026-03-10 00:00")
        assert (due.stage, due.step, due.tone, due.channels) == (
            "demand",
            "formal-demand",
            "final",
            (Channel.EMAIL, Channel.LETTER),
        )
        assert due.decided_at.date() == date(2026, 2, 23)  # Friday evening: Monday
        assert due.demand is not None
        assert due.demand.deadline == date(2026, 3, 23)  # three days later, as it went three days later
        log = await world.log(invoice)
        assert ("formal-demand", "deferred", "outside-window") in log
        assert ("formal-demand", "sent", "sent") in log
        assert log[-1] == ("final-notice", "suppressed", "escalated")

    async def test_a_demand_for_what_is_paid_does_not_go(self, world: World) -> None:
        _, invoice = await followed(world)
        await world.play("2026-02-20 18:00")
        await world.tell(self.rung(world, invoice), world.paid(invoice, date(2026, 2, 20)))
        assert await world.play("2026-03-10 00:00") == []
        assert ("formal-demand", "suppressed", "paid") in await world.log(invoice)
        assert [one.step for one in await world.published(TouchSuppressed)][:0] == []

    async def test_too_few_reminders_at_the_last_moment_end_it(self, world: World) -> None:
        _, invoice = await followed(world)
        await world.play("2026-02-20 10:00")
        await world.tell(self.rung(world, invoice))
        due = await go(world, "2026-02-20 10:00")
        await world.tell(world.cancelled(due, {invoice.id: "fewer-than-three-reminders"}, whole=True))
        await world.sweep()
        assert await world.published(PaymentDue) == []
        assert (await world.log(invoice))[-1] == ("formal-demand", "suppressed", "fewer-than-three-reminders")

    async def test_withdrawn_reminders_go_on_and_a_second_demand_may_come(self, world: World) -> None:
        _, invoice = await followed(world)
        await world.play("2026-02-20 18:00")
        event = self.rung(world, invoice)
        ended = EscalationResolved(
            **about(world, invoice), case_id=event.case_id, invoice_id=invoice.id, outcome="withdrawn"
        )
        await world.tell(event, ended)
        (due,) = await world.play("2026-03-05 00:00")
        assert due.step == "final-notice"
        await world.tell(self.rung(world, invoice))
        (due,) = await world.play("2026-03-08 00:00")
        assert due.stage == "demand"
        finals = [row for row in await world.log(invoice) if row[0] == "formal-demand" and row[1] != "deferred"]
        assert finals == [("formal-demand", "suppressed", "escalated"), ("formal-demand", "sent", "sent")]

    async def test_later_rungs_stop_the_chasing(self, world: World) -> None:
        _, invoice = await followed(world)
        await world.play("2026-02-20 18:00")
        await world.tell(self.rung(world, invoice, action="agency", rung="collections-agency", stops_chasing=True))
        assert await world.play("2026-03-10 00:00") == []
        assert (await world.log(invoice))[-1] == ("final-notice", "suppressed", "escalated")


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
    customer, invoice = await followed(world)
    due = await go(world, "2026-01-26 09:00")
    half = world.changed(invoice, balance_minor=5000, status="partly_paid")
    await world.tell(
        world.sent(due),
        FollowUpHeld(**about(world, invoice), invoice=world.changed(half, hold=Hold(reason="x")), reason="x"),
        FollowUpReleased(**about(world, invoice), invoice=world.changed(half, hold=None), reason="x"),
        world.paid(invoice, date(2026, 1, 26)),
    )
    await world.sweep()
    assert await world.log(invoice) == [("courtesy", "sent", "sent")]
    (row,) = await world.rows("SELECT closed, closed_on FROM follow_up")
    assert (row.closed, row.closed_on) == (True, date(2026, 1, 26))
    assert customer.version == 1
