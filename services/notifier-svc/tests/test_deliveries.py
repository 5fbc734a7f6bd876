"""A decided touch becomes messages that leave once, after asking what is still owed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from remit_testing.notifier import World
from remit_testing.notifier_samples import demand_terms
from uuid6 import uuid7

from remit_events.notifications import ReminderCancelled, ReminderFailed, ReminderSent
from remit_events.state import Channel, Hold, Promise, Stage


async def test_a_touch_leaves_on_every_channel_with_what_is_owed(world: World) -> None:
    customer = await world.customer()
    invoice = world.invoice(customer)
    touch = await world.remind(customer, invoice, channels=(Channel.EMAIL, Channel.SMS, Channel.LETTER))
    await world.settle()
    sent = await world.told(ReminderSent)
    assert {event.channel for event in sent} == {"email", "sms", "letter"}
    assert {event.touch_id for event in sent} == {touch.touch_id}
    assert all(event.sent_at == world.clock.now() and event.items[0].amount_minor == 11900 for event in sent)
    assert {path.suffix for path in world.files()} == {".eml", ".json", ".pdf", ".txt"}
    assert {invoice_id for asked in world.peers.asked for invoice_id in asked} == {invoice.id}
    assert await world.task("deliveries").next_at() is None


async def test_the_same_touch_twice_is_one_message(world: World) -> None:
    customer = await world.customer()
    event = world.due(customer, world.invoice(customer))
    await world.publish(event, event)
    await world.settle()
    await world.publish(event)
    await world.settle()
    assert len(await world.told(ReminderSent)) == 1
    assert len(world.files("*.eml")) == 1


async def test_one_question_for_a_whole_batch(world: World) -> None:
    customers = [await world.customer() for _ in range(5)]
    await world.publish(*(world.due(customer, world.invoice(customer)) for customer in customers for _ in range(4)))
    await world.settle()
    assert len(await world.told(ReminderSent)) == 20
    assert len(world.peers.asked[0]) == 20
    assert world.peers.automation_asked <= len(world.peers.asked)


async def test_an_amount_is_the_one_owed_when_it_leaves(world: World) -> None:
    customer = await world.customer()
    invoice = world.invoice(customer)
    world.change(invoice, balance_minor=4000, status="partly_paid", disputed_minor=500)
    await world.remind(customer, invoice)
    await world.settle()
    [sent] = await world.told(ReminderSent)
    assert sent.items[0].amount_minor == 3500
    assert "35.00" in world.files("*.eml")[0].read_text()


REFUSALS = {
    "paid": {"balance_minor": 0, "status": "paid"},
    "void": {"status": "void"},
    "disputed": {"disputed_minor": 11900},
    "held": {"hold": Hold(reason="asked", until=date(2026, 3, 2))},
    "promise": {
        "promise": Promise(id=demand_terms().case_id, on=date(2026, 3, 1), amount_minor=1, grace_until=date(2026, 3, 2))
    },
    "payment-in-flight": {"payment_in_flight": True},
}


@pytest.mark.parametrize("rule", REFUSALS)
async def test_what_may_not_be_asked_for_any_more_is_dropped_and_the_rest_goes(world: World, rule: str) -> None:
    customer = await world.customer()
    leading, other = world.invoice(customer), world.invoice(customer)
    world.change(other, **REFUSALS[rule])
    touch = await world.remind(customer, leading, other)
    await world.settle()
    [cancelled] = await world.told(ReminderCancelled)
    assert (cancelled.touch_id, cancelled.whole, cancelled.rule) == (touch.touch_id, False, rule)
    assert [(dropped.item.invoice.id, dropped.rule) for dropped in cancelled.dropped] == [(other.id, rule)]
    [sent] = await world.told(ReminderSent)
    assert [item.invoice.id for item in sent.items] == [leading.id]
    assert other.number not in world.files("*.eml")[0].read_text()
    assert await world.all_told() == ["ReminderCancelled", "ReminderSent"]


async def test_without_its_leading_item_nothing_goes(world: World) -> None:
    customer = await world.customer()
    leading, other = world.invoice(customer), world.invoice(customer)
    world.change(leading, balance_minor=0, status="paid")
    await world.remind(customer, leading, other, channels=(Channel.EMAIL, Channel.SMS))
    await world.settle()
    [cancelled] = await world.told(ReminderCancelled)
    assert (cancelled.whole, cancelled.rule) == (True, "paid")
    assert [item.invoice.id for item in cancelled.kept] == [other.id]
    assert await world.statuses() == {"email": "cancelled", "sms": "cancelled"}
    assert not world.files()


async def test_what_is_left_after_a_part_payment_must_still_be_worth_a_message(world: World) -> None:
    customer = await world.customer()
    small, other = world.invoice(customer), world.invoice(customer)
    touch = world.due(customer, small, other)
    at_least = [item.model_copy(update={"minimum_minor": 500}) for item in touch.items]
    world.change(small, balance_minor=200, status="partly_paid")
    await world.publish(touch.model_copy(update={"items": tuple(at_least), "touch_id": uuid7()}))
    await world.publish(touch.model_copy(update={"items": (at_least[0],)}))
    await world.settle()
    [cancelled] = await world.told(ReminderCancelled)
    assert (cancelled.touch_id, cancelled.whole, cancelled.rule) == (touch.touch_id, True, "below-minimum")
    [sent] = await world.told(ReminderSent)
    assert [item.amount_minor for item in sent.items] == [200, 11900]  # together they ask for enough


async def test_an_invoice_the_books_do_not_know_is_not_asked_for(world: World) -> None:
    customer = await world.customer()
    invoice = world.invoice(customer)
    del world.peers.invoices[invoice.id]
    await world.remind(customer, invoice)
    await world.settle()
    assert [event.rule for event in await world.told(ReminderCancelled)] == ["unknown-invoice"]


async def test_a_customer_on_hold_gets_nothing(world: World) -> None:
    customer = await world.customer(hold=Hold(reason="in talks"))
    await world.remind(customer, world.invoice(customer))
    await world.settle()
    assert [event.rule for event in await world.told(ReminderCancelled)] == ["held"]


async def test_a_hold_that_only_the_books_know_yet_is_kept(world: World) -> None:
    customer = await world.customer()
    world.peers.customer_holds[customer.id] = Hold(reason="just now")
    await world.remind(customer, world.invoice(customer))
    await world.settle()
    assert [event.rule for event in await world.told(ReminderCancelled)] == ["held"]


async def test_a_hold_that_has_ended_holds_nothing(world: World) -> None:
    customer = await world.customer(hold=Hold(reason="in talks", until=date(2026, 3, 1)))
    await world.remind(customer, world.invoice(customer))
    await world.settle()
    assert len(await world.told(ReminderSent)) == 1


async def test_the_kill_switch_stops_reminders_and_demands(world: World) -> None:
    customer = await world.customer()
    world.peers.automation[world.seller.id] = False
    await world.remind(customer, world.invoice(customer))
    await world.remind(customer, world.invoice(customer), stage=Stage.DEMAND, demand=demand_terms())
    await world.settle()
    told = await world.told(ReminderCancelled)
    assert [(event.whole, event.rule, event.dropped) for event in told] == [(True, "automation-off", ())] * 2
    assert {item.invoice.id for event in told for item in event.kept} == set(world.peers.invoices)
    assert not world.files()


async def test_too_late_is_not_sent(world: World) -> None:
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer), valid_until=world.clock.now())
    await world.settle()
    [cancelled] = await world.told(ReminderCancelled)
    assert (cancelled.whole, cancelled.rule) == (True, "expired")
    assert [item.invoice.id for item in cancelled.kept] == list(world.peers.invoices)


@pytest.mark.parametrize("who", ["invoice_svc_down", "scheduler_svc_down"])
async def test_no_answer_no_message_until_there_is_one(world: World, who: str) -> None:
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer))
    setattr(world.peers, who, True)
    await world.settle()
    assert await world.statuses() == {"email": "pending"}
    first = await world.task("deliveries").next_at()
    assert first == world.clock.now() + timedelta(seconds=1)
    world.clock.set(first)
    await world.settle()
    assert await world.task("deliveries").next_at() == first + timedelta(seconds=2)
    setattr(world.peers, who, False)
    world.clock.set(first + timedelta(seconds=2))
    await world.settle()
    assert await world.statuses() == {"email": "sent"}
    assert await world.all_told() == ["ReminderSent"]


async def test_no_answer_for_too_long_ends_it(world: World) -> None:
    customer = await world.customer()
    touch = await world.remind(customer, world.invoice(customer), valid_until=world.clock.now() + timedelta(minutes=10))
    world.peers.invoice_svc_down = True
    await world.settle()
    while (due := await world.task("deliveries").next_at()) is not None:
        world.clock.set(due)
        await world.settle()
    assert world.clock.now() == touch.valid_until
    assert [event.rule for event in await world.told(ReminderCancelled)] == ["expired"]


async def test_a_payment_before_the_answer_stops_the_message(world: World) -> None:
    customer = await world.customer()
    invoice = world.invoice(customer)
    await world.remind(customer, invoice)

    async def pay(asked: int) -> None:
        world.change(invoice, balance_minor=0, status="paid")

    world.peers.before = pay
    await world.settle()
    assert [event.rule for event in await world.told(ReminderCancelled)] == ["paid"]
    assert not world.files()


async def test_an_individual_is_left_alone_at_night_whatever_was_decided(world: World) -> None:
    customer = await world.customer(profile="individual")
    world.clock.set(datetime(2026, 3, 2, 20, 30, tzinfo=UTC))  # 21:30 in Berlin
    touch = await world.remind(customer, world.invoice(customer), valid_until=datetime(2026, 3, 3, 16, tzinfo=UTC))
    await world.settle()
    assert await world.task("deliveries").next_at() == datetime(2026, 3, 3, 7, tzinfo=UTC)
    world.clock.set(datetime(2026, 3, 3, 7, tzinfo=UTC))
    await world.settle()
    assert [event.touch_id for event in await world.told(ReminderSent)] == [touch.touch_id]


async def test_an_address_closed_since_the_decision_is_respected(world: World) -> None:
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer), channels=(Channel.EMAIL, Channel.SMS))
    await world.task("notifier-svc").run()
    await world.execute(
        "INSERT INTO suppression (id, seller_id, channel, address_sha256, kind, reason, created_at) "
        "SELECT gen_random_uuid(), seller_id, channel, recipient_sha256, 'full', 'opt-out', created_at "
        "FROM delivery WHERE channel = 'sms'"
    )
    await world.settle()
    assert await world.statuses() == {"email": "sent", "sms": "failed"}
    [failed] = await world.told(ReminderFailed)
    assert (failed.channel, failed.reason_class, failed.touch_failed) == ("sms", "suppressed", False)


async def test_one_that_cannot_be_written_does_not_stop_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer, other = await world.customer(), await world.customer()
    planner = world.task("deliveries")._planner
    render = planner._render

    def breaks(message, *, channels):  # type: ignore[no-untyped-def]
        if message.customer.id == customer.id:
            raise ZeroDivisionError
        return render(message, channels=channels)

    monkeypatch.setattr(planner, "_render", breaks)
    await world.remind(customer, world.invoice(customer))
    await world.remind(other, world.invoice(other))
    await world.settle()
    [failed] = await world.told(ReminderFailed)
    assert (failed.customer_id, failed.reason_class, failed.touch_failed) == (customer.id, "not-renderable", True)
    assert [event.customer_id for event in await world.told(ReminderSent)] == [other.id]


async def test_one_that_cannot_be_stored_does_not_stop_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer, other = await world.customer(), await world.customer()
    planner = world.task("deliveries")._planner
    render = planner._render

    def spoilt(message, *, channels):  # type: ignore[no-untyped-def]
        said = render(message, channels=channels)
        return replace(said, text=said.text + "\x00") if message.customer.id == customer.id else said

    monkeypatch.setattr(planner, "_render", spoilt)
    await world.remind(customer, world.invoice(customer))
    await world.remind(other, world.invoice(other))
    await world.settle()
    [failed] = await world.told(ReminderFailed)
    assert (failed.customer_id, failed.reason_class, failed.touch_failed) == (customer.id, "not-storable", True)
    assert [event.customer_id for event in await world.told(ReminderSent)] == [other.id]


async def test_idle_touches_the_database_not_at_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.settle()
    deliveries = world.task("deliveries")
    assert await deliveries.next_at() is None
    monkeypatch.setattr(deliveries, "_db", None)
    assert [await deliveries.run() for _ in range(20)] == [0] * 20
    assert await deliveries.next_at() is None
