"""What notifier-svc tells: sent, failed, cancelled; and which addresses are closed."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from remit_testing.scheduler_world import World

from remit_events.addresses import address_hash
from remit_events.notifications import ContactRestored, ContactSuppressed
from remit_events.schedule import PaymentDue
from remit_events.state import Channel, CustomerState


async def test_a_dropped_item_ends_and_the_rest_is_sent(world: World) -> None:
    customer, first = await world.followed()
    second = await world.issue(customer, "R2")
    due = await world.go("2026-01-26 09:00")
    await world.tell(
        world.cancelled(due, {second.id: "paid"}, whole=False),
        world.sent(due, items=tuple(item for item in due.items if item.invoice.id == first.id)),
    )
    assert await world.log(first) == [("courtesy", "sent", "sent")]
    assert await world.log(second) == [("courtesy", "suppressed", "paid")]
    assert len(await world.rows("SELECT 1 FROM contact")) == 1


async def test_without_its_leading_item_the_rest_is_decided_again(world: World) -> None:
    customer, first = await world.followed()
    await world.issue(customer, "R2")
    due = await world.go("2026-01-26 09:00")
    await world.tell(world.cancelled(due, {first.id: "paid"}, whole=True))
    assert await world.rows("SELECT 1 FROM contact") == []
    again = await world.go("2026-01-26 09:00")
    assert again.touch_id != due.touch_id
    assert [item.invoice.number for item in again.items] == ["R2"]


async def test_refused_for_now_it_waits_and_is_not_tried_at_once(world: World) -> None:
    _, invoice = await world.followed()
    due = await world.go("2026-01-26 09:00")
    await world.tell(world.cancelled(due, {invoice.id: "held"}, whole=True))
    assert await world.log(invoice) == [("courtesy", "deferred", "held")]
    await world.sweep()
    assert await world.published(PaymentDue) == []
    assert await world.task("sweep").next_at() == world.clock.now() + timedelta(minutes=1)


async def test_past_its_time_it_is_decided_again_in_the_next_window(world: World) -> None:
    _, invoice = await world.followed()
    due = await world.go("2026-01-26 09:00")
    world.at("2026-01-26 17:00")
    await world.tell(world.cancelled(due, {}, whole=True, rule="expired"))
    await world.sweep()
    assert await world.log(invoice) == [("courtesy", "deferred", "outside-window")]
    assert (await world.go("2026-01-27 09:00")).step == "courtesy"


async def test_when_every_channel_failed_it_goes_on_the_next_with_the_same_touch(world: World) -> None:
    _, invoice = await world.followed(phone="+4915112345678", sms_consent=False)
    due = await world.go("2026-02-03 09:00")
    assert due.channels == (Channel.EMAIL,)
    await world.tell(world.failed(due))
    again = await world.go("2026-02-03 09:00")
    assert (again.touch_id, again.channels) == (due.touch_id, (Channel.LETTER,))
    await world.tell(world.sent(again))
    assert (await world.log(invoice))[-1] == ("day-after", "sent", "sent")
    assert len(await world.rows("SELECT 1 FROM contact")) == 1


async def test_a_fallback_keeps_window_and_counts_on_its_own_day(world: World) -> None:
    _, invoice = await world.followed()
    due = await world.go("2026-02-03 09:00")
    world.at("2026-02-03 18:00")
    await world.tell(world.failed(due))
    await world.sweep()
    assert await world.published(PaymentDue) == []
    assert (await world.log(invoice))[-1] == ("day-after", "deferred", "outside-window")
    again = await world.go("2026-02-04 09:00")
    assert again.touch_id == due.touch_id
    (row,) = await world.rows("SELECT on_date FROM contact")
    assert row.on_date == date(2026, 2, 4)


async def test_none_left_it_is_undeliverable_and_no_contact(world: World) -> None:
    _, invoice = await world.followed(address=None)
    due = await world.go("2026-02-03 09:00")
    await world.tell(world.failed(due))
    await world.sweep()
    assert (await world.log(invoice))[-1] == ("day-after", "suppressed", "undeliverable")
    assert await world.rows("SELECT 1 FROM contact") == []


async def test_one_failed_channel_of_two_changes_nothing(world: World) -> None:
    _, invoice = await world.followed()
    due = await world.go("2026-01-26 09:00")
    await world.tell(world.failed(due, touch_failed=False), world.sent(due))
    assert await world.log(invoice) == [("courtesy", "sent", "sent")]
    assert await world.sweep() == 0


async def test_a_payment_after_the_failure_ends_it(world: World) -> None:
    _, invoice = await world.followed()
    due = await world.go("2026-02-03 09:00")
    await world.tell(world.failed(due), world.paid(invoice, date(2026, 2, 3)))
    await world.sweep()
    assert (await world.log(invoice))[-1] == ("day-after", "suppressed", "paid")
    assert await world.published(PaymentDue) == []


async def test_facts_told_twice_change_nothing(world: World) -> None:
    _, invoice = await world.followed()
    due = await world.go("2026-01-26 09:00")
    for _ in range(2):
        await world.tell(world.sent(due))
        await world.tell(world.sent(due), world.sent(due))
    assert await world.log(invoice) == [("courtesy", "sent", "sent")]


def closing(world: World, customer: CustomerState, kind: type = ContactSuppressed) -> Any:
    sha = address_hash(Channel.EMAIL, customer.email or "")
    values = {"seller_id": world.seller.id, "customer_id": customer.id, "channel": Channel.EMAIL}
    return kind(**values, recipient_sha256=sha, reason="unsubscribed")


async def test_a_closed_address_is_not_used_and_required_notices_go_by_letter(world: World) -> None:
    customer, invoice = await world.followed()
    await world.tell(closing(world, customer))
    gone = await world.play("2026-02-04 00:00")
    assert [(due.step, due.channels) for due in gone] == [("day-after", (Channel.LETTER,))]
    assert (await world.log(invoice))[0] == ("courtesy", "suppressed", "no-channel")


async def test_it_is_closed_for_everyone_who_has_it_and_opens_again(world: World) -> None:
    customer, _ = await world.followed()
    other = await world.customer("C2", email=(customer.email or "").upper())
    await world.tell(closing(world, customer))
    later = await world.customer("C3", email=customer.email)
    rows = await world.rows("SELECT cardinality(suppressed) AS n FROM customer")
    assert [row.n for row in rows] == [1, 1, 1]
    await world.tell(closing(world, other, ContactRestored))
    rows = await world.rows("SELECT cardinality(suppressed) AS n FROM customer")
    assert [row.n for row in rows] == [0, 0, 0]
    assert later.email == customer.email
