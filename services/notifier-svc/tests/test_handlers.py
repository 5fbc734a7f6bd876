"""Events in: who gets what on which channel, and what never becomes a message."""

from __future__ import annotations

from typing import Any

import pytest
from remit_testing.notifier import World
from remit_testing.notifier_samples import new_customer
from remit_testing.statements import sent_by

from remit_events.invoices import CustomerChanged
from remit_events.notifications import ReminderFailed, ReminderSent
from remit_events.state import Channel, Stage


async def test_channels_that_do_not_reach_are_noted(world: World) -> None:
    customer = await world.customer(sms_consent=False, address=None)
    await world.remind(customer, world.invoice(customer), channels=tuple(Channel))
    await world.settle()
    assert await world.statuses() == {"email": "sent"}
    [row] = await world.rows("SELECT notes FROM touch")
    assert row.notes == [{"channel": "sms", "why": "no-consent"}, {"channel": "letter", "why": "no-address"}]


async def test_a_touch_that_reaches_nobody_has_failed(world: World) -> None:
    customer = await world.customer(email=None, phone=None)
    touch = await world.remind(customer, world.invoice(customer), channels=(Channel.EMAIL, Channel.SMS))
    await world.settle()
    [failed] = await world.told(ReminderFailed)
    assert (failed.touch_id, failed.reason_class, failed.touch_failed) == (touch.touch_id, "no-channel", True)
    assert failed.reason == "email: no-address; sms: no-address"


async def test_the_same_touch_goes_on_other_channels_after_it_failed(world: World) -> None:
    customer = await world.customer(email=None)
    touch = await world.remind(customer, world.invoice(customer))
    await world.settle()
    assert [event.touch_failed for event in await world.told(ReminderFailed)] == [True]
    await world.publish(touch.model_copy(update={"channels": (Channel.SMS,)}))
    await world.settle()
    [sent] = await world.told(ReminderSent)
    assert (sent.touch_id, sent.channel) == (touch.touch_id, "sms")
    [row] = await world.rows("SELECT channels FROM touch")
    assert row.channels == ["email", "sms"]


async def test_a_step_and_its_fallback_may_come_in_one_batch(world: World) -> None:
    customer = await world.customer(email=None)
    touch = world.due(customer, world.invoice(customer))
    await world.publish(touch, touch.model_copy(update={"channels": (Channel.LETTER,)}))
    await world.settle()
    assert [event.channel.value for event in await world.told(ReminderSent)] == ["letter"]


async def test_a_fallback_to_what_has_failed_before_fails_aloud(world: World) -> None:
    customer = await world.customer()
    touch = await world.remind(customer, world.invoice(customer), channels=(Channel.LETTER,))
    await world.task("notifier-svc").run()
    await world.suppress("letter")
    await world.settle()
    await world.execute("DELETE FROM suppression")
    await world.publish(touch)
    await world.settle()
    first, again = await world.told(ReminderFailed)
    assert (first.reason_class, again.reason_class) == ("suppressed", "no-channel")
    assert (again.touch_id, again.touch_failed, again.reason) == (touch.touch_id, True, "letter: tried before")


async def test_a_touch_waits_for_a_customer_who_comes_later(world: World) -> None:
    customer = new_customer()
    await world.remind(customer, world.invoice(customer))
    await world.settle()
    assert await world.statuses() == {}
    await world.publish(CustomerChanged(seller_id=world.seller.id, customer_id=customer.id, customer=customer))
    await world.settle()
    assert [event.stage for event in await world.told(ReminderSent)] == ["overdue"]
    assert [row.waiting for row in await world.rows("SELECT waiting FROM touch")] == [False]


async def test_an_older_snapshot_of_a_customer_changes_nothing(world: World) -> None:
    customer = await world.customer(version=5)
    old = customer.model_copy(update={"version": 4, "email": "old@muster.example"})
    await world.publish(CustomerChanged(seller_id=world.seller.id, customer_id=customer.id, customer=old))
    await world.remind(customer, world.invoice(customer))
    await world.settle()
    [row] = await world.rows("SELECT recipient FROM delivery")
    assert row.recipient == customer.email


@pytest.mark.parametrize(
    ("stage", "statuses"),
    [(Stage.UPCOMING, {}), (Stage.OVERDUE, {"letter": "sent"}), (Stage.DEMAND, {"letter": "cancelled"})],
)
async def test_who_unsubscribed_gets_required_notices_by_letter(
    world: World, stage: Stage, statuses: dict[str, str]
) -> None:
    customer = await world.customer()
    invoice = world.invoice(customer)
    await world.settle()
    await world.suppress("email", "courtesy")
    await world.remind(customer, invoice, stage=stage)
    await world.settle()
    assert await world.statuses() == statuses
    assert [event.reason for event in await world.told(ReminderFailed)] == ([] if statuses else ["email: unsubscribed"])


async def test_unsubscribing_after_the_decision_reroutes_too(world: World) -> None:
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer))
    await world.task("notifier-svc").run()
    await world.suppress("email", "courtesy")
    await world.settle()
    assert await world.statuses() == {"email": "failed", "letter": "sent"}
    assert [event.touch_failed for event in await world.told(ReminderFailed)] == [False]


@pytest.mark.parametrize(
    ("changes", "failed", "sent"),
    [
        ({"sms_consent": False}, [("sms", "no-consent")], {"email"}),
        ({"phone": None}, [("sms", "address-changed")], {"email"}),
        ({"email": "new@muster.example"}, [("email", "address-changed")], {"email", "sms"}),
        ({"phone": "+4917699999999"}, [("sms", "address-changed")], {"email", "sms"}),
    ],
)
async def test_what_the_customer_changed_since_the_decision_counts(
    world: World, changes: dict[str, Any], failed: list[tuple[str, str]], sent: set[str]
) -> None:
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer), channels=(Channel.EMAIL, Channel.SMS))
    await world.task("notifier-svc").run()
    now = customer.model_copy(update={"version": 2} | changes)
    await world.publish(CustomerChanged(seller_id=world.seller.id, customer_id=now.id, customer=now))
    await world.settle()
    told = await world.told(ReminderFailed)
    assert [(event.channel, event.reason_class) for event in told] == failed
    assert not any(event.touch_failed for event in told)
    assert {event.channel for event in await world.told(ReminderSent)} == sent
    reached = {row.recipient for row in await world.rows("SELECT recipient FROM delivery WHERE status = 'sent'")}
    assert reached == {address for address in (now.email, now.phone if "sms" in sent else None) if address}


async def test_a_batch_is_a_handful_of_statements(world: World) -> None:
    customers = [await world.customer() for _ in range(20)]
    await world.settle()
    counts = []
    for size in (2, 20):
        await world.publish(*(world.due(customer, world.invoice(customer)) for customer in customers[:size]))
        with sent_by(world.service.db.engine) as statements:
            await world.task("notifier-svc").run()
            await world.task("deliveries").run()
        counts.append(len(statements))
    # Results are stored in portions as they come; everything else is the same however large the batch.
    assert max(counts) <= 20
