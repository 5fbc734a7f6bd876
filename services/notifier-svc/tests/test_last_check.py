"""The last check: at the hand-over once more, and by our own count for a demand."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from prometheus_client import REGISTRY
from remit_testing.notifier import World
from remit_testing.notifier_samples import demand_terms

from notifier_svc.deliveries import TOGETHER
from notifier_svc.modes import FOLDER_AT_ONCE
from notifier_svc.sending import LEAST_ASKED
from remit_events.notifications import ReminderCancelled, ReminderSent
from remit_events.state import Channel, Stage


async def test_an_old_answer_is_asked_again_at_the_hand_over(open_world: Any) -> None:
    world = await open_world(balance_max_age=1e-9)
    customer = await world.customer()
    paid, owed = world.invoice(customer), world.invoice(customer)
    await world.remind(customer, paid)
    await world.remind(customer, owed)

    async def pay(asked: int) -> None:
        if asked == 2:
            world.change(paid, balance_minor=0, status="paid")

    world.peers.before = pay
    await world.settle()
    [sent] = await world.told(ReminderSent)
    assert sent.items[0].invoice.id == owed.id
    assert [event.rule for event in await world.told(ReminderCancelled)] == ["paid"]
    assert len(world.files()) == 1


async def test_what_is_asked_again_is_about_what_goes_next(open_world: Any) -> None:
    world = await open_world(balance_max_age=1e-9)
    customer = await world.customer()
    await world.publish(*(world.due(customer, world.invoice(customer)) for _ in range(100)))
    await world.settle()
    assert len(await world.told(ReminderSent)) == 100
    assert max(len(asked) for asked in world.peers.asked) <= max(LEAST_ASKED, TOGETHER)


async def test_no_more_is_asked_about_than_soon_goes(open_world: Any) -> None:
    world = await open_world(balance_max_age=5)
    customer = await world.customer()
    before = REGISTRY.get_sample_value("remit_answer_age_seconds_count", {"service": "notifier-svc"}) or 0
    await world.publish(*(world.due(customer, world.invoice(customer)) for _ in range(100)))
    await world.settle()
    assert [len(asked) for asked in world.peers.asked] == [TOGETHER, TOGETHER, TOGETHER, 100 - 3 * TOGETHER]
    count = REGISTRY.get_sample_value("remit_answer_age_seconds_count", {"service": "notifier-svc"})
    assert count == before + 100


async def test_who_does_not_answer_is_not_asked_about_the_rest(open_world: Any) -> None:
    world = await open_world(balance_max_age=5)
    customer = await world.customer()
    await world.publish(*(world.due(customer, world.invoice(customer)) for _ in range(100)))

    async def end(asked: int) -> None:
        world.peers.invoice_svc_down = True

    world.peers.before = end
    await world.settle()
    assert len(world.peers.asked) == 1
    [row] = await world.rows(
        "SELECT count(*) FILTER (WHERE status = 'sent') AS sent, count(*) FILTER (WHERE status = 'pending') AS waiting "
        "FROM delivery"
    )
    assert (row.sent, row.waiting) == (TOGETHER, 100 - TOGETHER)
    world.peers.invoice_svc_down, world.peers.before = False, None
    world.clock.set(world.clock.now() + timedelta(seconds=1))
    await world.settle()
    assert len(await world.told(ReminderSent)) == 100


async def test_few_transactions_store_many_results(open_world: Any) -> None:
    world = await open_world(balance_max_age=5)
    customer = await world.customer()
    await world.publish(*(world.due(customer, world.invoice(customer)) for _ in range(100)))
    await world.settle()
    [row] = await world.rows("SELECT count(*) AS events, count(DISTINCT CAST(xmin AS text)) AS stored FROM outbox")
    assert row.events == 100
    assert row.stored <= 100 / (FOLDER_AT_ONCE / 2) + 1


async def test_a_stop_after_the_claim_is_respected_at_the_hand_over(open_world: Any) -> None:
    world = await open_world(balance_max_age=1e-9)
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer), channels=(Channel.SMS,))

    async def stop(asked: int) -> None:
        if asked == 1:
            await world.execute(
                "INSERT INTO suppression (id, seller_id, channel, address_sha256, kind, reason, created_at) "
                "SELECT gen_random_uuid(), seller_id, 'sms', phone_sha256, 'full', 'opt-out', CAST(:now AS timestamptz)"
                " FROM customer",
                now=world.clock.now(),
            )

    world.peers.before = stop
    await world.settle()
    assert await world.statuses() == {"sms": "failed"}
    assert world.files() == []
    [row] = await world.rows("SELECT sending_at FROM delivery")
    assert row.sending_at is not None


async def test_a_demand_needs_three_reminders_of_our_own(world: World) -> None:
    customer = await world.customer()
    invoice = world.invoice(customer)
    demand = {"stage": Stage.DEMAND, "step": "formal-demand", "template": "formal-demand", "demand": demand_terms()}
    for reminders in range(4):
        await world.remind(customer, invoice, **demand)
        await world.settle()
        assert len(await world.told(ReminderCancelled)) == min(reminders + 1, 3)
        await world.remind(customer, invoice, channels=(Channel.EMAIL, Channel.SMS))
        await world.settle()
        world.clock.set(world.clock.now() + timedelta(days=1))
    assert {event.rule for event in await world.told(ReminderCancelled)} == {"fewer-than-three-reminders"}
    assert [event.stage for event in await world.told(ReminderSent)].count("demand") == 1


async def test_messages_before_the_due_date_are_no_reminders(world: World) -> None:
    customer = await world.customer()
    invoice = world.invoice(customer, due_date=date(2026, 3, 2))
    for _ in range(3):
        await world.remind(customer, invoice, stage=Stage.DUE)
    await world.remind(customer, invoice, stage=Stage.DEMAND, demand=demand_terms())
    await world.settle()
    assert [event.rule for event in await world.told(ReminderCancelled)] == ["fewer-than-three-reminders"]


async def test_a_channel_that_waits_after_another_has_gone_is_given_up_in_silence(world: World) -> None:
    customer = await world.customer()
    invoice = world.invoice(customer)
    await world.remind(customer, invoice, channels=(Channel.EMAIL, Channel.SMS))
    await world.task("notifier-svc").run()
    later = world.clock.now() + timedelta(minutes=1)
    await world.execute("UPDATE delivery SET next_attempt_at = :later WHERE channel = 'sms'", later=later)
    await world.settle()
    world.change(invoice, balance_minor=0, status="paid")
    world.clock.set(later)
    await world.settle()
    assert await world.statuses() == {"email": "sent", "sms": "cancelled"}
    assert await world.all_told() == ["ReminderSent"]


async def test_a_fallback_after_a_bounce_is_cancelled_aloud(world: World) -> None:
    customer = await world.customer()
    invoice = world.invoice(customer)
    touch = await world.remind(customer, invoice, channels=(Channel.SMS,))
    await world.settle()
    await world.execute("UPDATE delivery SET status = 'failed'")
    world.change(invoice, balance_minor=0, status="paid")
    await world.publish(touch.model_copy(update={"channels": (Channel.EMAIL,)}))
    await world.settle()
    assert await world.all_told() == ["ReminderSent", "ReminderCancelled"]
