"""A decided touch becomes messages that leave once, after asking what is still owed."""

from __future__ import annotations

from datetime import timedelta

from remit_testing.notifier import World

from remit_events.notifications import ReminderSent
from remit_events.state import Channel


async def test_a_touch_leaves_on_every_channel_with_what_is_owed(world: World) -> None:
    customer = await world.customer()
    invoice = world.invoice(customer)
    touch = await world.remind(customer, invoice, channels=(Channel.EMAIL, Channel.SMS, Channel.LETTER))
    await world.settle()
    sent = await world.told(ReminderSent)
    assert {event.channel for event in sent} == {"email", "sms", "letter"}
    assert {event.touch_id for event in sent} == {touch.touch_id}
    assert all(event.sent_at == world.clock.now() and event.items[0].amount_minor == 11900 for event in sent)
    assert [path.suffix for path in world.files()] == [".eml", ".json", ".pdf", ".txt"]
    assert len(world.peers.asked) == 1
    assert await world.task("deliveries").next_at() is None
    world.clock.set(world.clock.now() + timedelta(days=3))
    await world.settle()
    assert len(await world.told(ReminderSent)) == 3
