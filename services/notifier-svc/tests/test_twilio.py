"""SMS through Twilio's own SDK against a local stand-in: sent once, and what was lost is found again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from remit_testing.fixtures import MakeDatabase
from remit_testing.notifier import World
from remit_testing.statements import sent_by
from remit_testing.twilio import SID, TOKEN, TwilioServer

from notifier_svc.providers import Result
from notifier_svc.providers.twilio import Twilio, TwilioAccount
from remit_events.notifications import (
    ContactRestored,
    ContactSuppressed,
    ReminderDelivered,
    ReminderFailed,
    ReminderSent,
    ReminderUnknown,
    ReplyReceived,
)
from remit_events.state import Channel

NUMBER = "+4917612345678"
OURS = "+4915112345678"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def twilio() -> AsyncIterator[TwilioServer]:
    async with TwilioServer(delay=0.5) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def shared(
    make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory, twilio: TwilioServer
) -> AsyncIterator[World]:
    opened = await World.open(make_database, tmp_path_factory.mktemp("twilio"), **settings(twilio))
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def world(shared: World, twilio: TwilioServer) -> World:
    """Every SMS to Twilio, everything else to the mailbox; without a public URL, so Twilio is polled."""
    await shared.reset()
    twilio.messages.clear()
    twilio.posts = 0
    twilio.now = shared.clock.now
    return shared


def settings(twilio: TwilioServer, **given: Any) -> dict[str, Any]:
    values = {
        "delivery_mode": "allowlist",
        "allowlist": NUMBER,
        "smtp_host": "127.0.0.1",
        "twilio_account_sid": SID,
        "twilio_auth_token": TOKEN,
        "twilio_base_url": twilio.url,
        "twilio_rate": 1000,
        "twilio_timeout": 0.3,
        "twilio_poll_seconds": 1e-6,
    }
    return values | given


async def text(world: World) -> Any:
    customer = await world.customer()
    return await world.remind(customer, world.invoice(customer), channels=(Channel.SMS,))


async def reconciled(world: World) -> None:
    world.task("reconcile")._pace._at = None
    await world.settle()


async def test_an_sms_is_sent_once(world: World, twilio: TwilioServer) -> None:
    await text(world)
    await world.settle()
    [taken] = twilio.messages
    [sent] = await world.told(ReminderSent)
    assert (taken.to, taken.sender, sent.provider, sent.provider_id) == (NUMBER, OURS, "twilio", taken.sid)
    assert "Nordlicht" in taken.body
    assert "STOP" in taken.body
    assert twilio.posts == 1


@pytest.mark.parametrize(
    ("planned", "result", "reason_class", "closes"),
    [
        ("429", Result.RETRY, "rate-limited", None),
        ("401", Result.RETRY, "not-authorised", None),
        ("500", Result.UNKNOWN, "unknown", None),
        ("503", Result.UNKNOWN, "unknown", None),
        ("take-and-drop", Result.UNKNOWN, "unknown", None),
        ("drop", Result.UNKNOWN, "unknown", None),
        ("slow", Result.UNKNOWN, "unknown", None),
        ("code:21610", Result.REFUSED, "twilio-21610", "opt-out"),
        ("code:21211", Result.REFUSED, "twilio-21211", "invalid-number"),
        ("code:21408", Result.REFUSED, "twilio-21408", None),
    ],
)
async def test_what_twilio_answers(
    twilio: TwilioServer, planned: str, result: Result, reason_class: str, closes: str | None
) -> None:
    client = Twilio(TwilioAccount(SID, TOKEN, base_url=twilio.url, timeout=0.3))
    twilio.script(planned)
    outcome = await client.create(NUMBER, "hello", {"from_": OURS})
    assert (outcome.result, outcome.reason_class, outcome.closes) == (result, reason_class, closes)
    assert outcome.retry_after == (7 if planned == "429" else None)
    assert NUMBER not in outcome.reason
    assert (await client.create(NUMBER, "hello", {"from_": OURS})).result is Result.SENT
    await client.close()


async def test_nobody_there_is_certain_and_said_by_the_check(twilio: TwilioServer) -> None:
    nobody = Twilio(TwilioAccount(SID, TOKEN, base_url="http://127.0.0.1:1", timeout=0.3))
    outcome = await nobody.create(NUMBER, "hello", {"from_": OURS})
    assert (outcome.result, outcome.reason_class, outcome.provider_down) == (Result.RETRY, "not-connected", True)
    assert not (await nobody.check()).ok
    somebody = Twilio(TwilioAccount(SID, TOKEN, base_url=twilio.url))
    assert (await somebody.check()).ok
    await somebody.close()
    await nobody.close()


async def test_a_burst_of_429_loses_and_doubles_nothing(world: World, twilio: TwilioServer) -> None:
    for _ in range(30):
        await text(world)
    twilio.script(*["429"] * 45)
    await world.settle()
    while (due := await world.task("deliveries").next_at()) is not None:
        world.clock.set(due)
        await world.task("deliveries").run()
    assert len(twilio.messages) == len({taken.body for taken in twilio.messages}) == 30
    assert len(await world.told(ReminderSent)) == 30


@pytest.mark.parametrize("planned", ["take-and-drop", "slow"])
async def test_a_lost_answer_is_found_in_the_message_list(world: World, twilio: TwilioServer, planned: str) -> None:
    twilio.script(planned)
    await text(world)
    await text(world)
    await world.settle()
    assert len(await world.told(ReminderUnknown)) == 1
    await reconciled(world)
    assert {row.status for row in await world.rows("SELECT status FROM delivery")} == {"sent"}
    rows = await world.rows("SELECT provider_id FROM delivery")
    assert {row.provider_id for row in rows} == {taken.sid for taken in twilio.messages}
    assert (twilio.posts, len(await world.told(ReminderSent))) == (2, 2)


@pytest.mark.parametrize("planned", ["drop", "500"])
async def test_what_the_list_does_not_have_was_not_sent(world: World, twilio: TwilioServer, planned: str) -> None:
    twilio.script(planned)
    touch = await text(world)
    await world.settle()
    await reconciled(world)
    assert await world.statuses() == {"sms": "unknown"}
    world.clock.set(world.clock.now() + timedelta(minutes=11))
    await reconciled(world)
    [failed] = await world.told(ReminderFailed)
    assert (failed.touch_id, failed.reason_class, failed.touch_failed) == (touch.touch_id, "not-accepted", True)
    assert twilio.posts == 1


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_lost_answer_is_found_by_a_clock_that_is_off(world: World, twilio: TwilioServer, hours: int) -> None:
    """By an hour; else it counted as not taken, and another message would follow."""
    twilio.now = lambda: world.clock.now() + timedelta(hours=hours)
    twilio.script("take-and-drop")
    await text(world)
    await text(world)
    await world.settle()
    assert len(await world.told(ReminderUnknown)) == 1
    await reconciled(world)
    assert len(await world.told(ReminderSent)) == 2


async def test_what_another_host_sent_is_looked_for_as_long_by_a_clock_that_is_ahead(
    world: World, twilio: TwilioServer
) -> None:
    twilio.script("drop")
    await text(world)
    await text(world)
    await world.settle()
    world.clock.set(world.clock.now() + timedelta(hours=1))
    await reconciled(world)
    assert sorted(row.status for row in await world.rows("SELECT status FROM delivery")) == ["sent", "unknown"]


async def test_somebody_elses_message_settles_nothing(world: World, twilio: TwilioServer) -> None:
    twilio.script("500")
    await text(world)
    await world.settle()
    taken = twilio.receive(OURS, NUMBER, "something else")
    taken.direction = "outbound-api"
    await reconciled(world)
    assert await world.statuses() == {"sms": "unknown"}


async def test_a_lost_answer_is_found_among_many_messages_to_one_number(
    world: World, twilio: TwilioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio, "largest_page", 2)
    twilio.script("take-and-drop")
    await text(world)
    await text(world)
    await world.settle()
    assert len(await world.told(ReminderUnknown)) == 1
    for number in range(7):
        twilio.receive(OURS, NUMBER, f"another {number}").direction = "outbound-api"
    await reconciled(world)
    assert len(await world.told(ReminderSent)) == 2


async def test_a_stop_behind_many_messages_is_found(
    world: World, twilio: TwilioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio, "largest_page", 2)
    await world.customer()
    await world.settle()
    twilio.receive(NUMBER, OURS, "Stop")
    for number in range(7):
        twilio.receive(OURS, "+4915100000000", f"another {number}").direction = "outbound-api"
    await world.settle()
    assert [event.reason for event in await world.told(ContactSuppressed)] == ["opt-out"]


async def test_a_list_is_read_no_further_back_than_asked(twilio: TwilioServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio, "largest_page", 1)
    now = datetime(2026, 3, 9, 12, tzinfo=UTC)
    for days in (30, 29, 1, 0):
        monkeypatch.setattr(twilio, "now", lambda days=days: now - timedelta(days=days))
        twilio.receive(OURS, NUMBER, f"{days} days ago")
    client = Twilio(TwilioAccount(SID, TOKEN, base_url=twilio.url))
    listed = [message.body for message in await client.listed(now - timedelta(hours=1), to=NUMBER)]
    await client.close()
    assert listed == ["0 days ago", "1 days ago", "29 days ago"]


async def test_an_opted_out_number_is_closed(world: World, twilio: TwilioServer) -> None:
    twilio.script("code:21610")
    await text(world)
    await world.settle()
    assert [event.reason for event in await world.told(ContactSuppressed)] == ["opt-out"]
    assert [event.touch_failed for event in await world.told(ReminderFailed)] == [True]


async def test_statuses_are_polled(world: World, twilio: TwilioServer) -> None:
    await text(world)
    await text(world)
    await world.settle()
    twilio.messages[0].status = "delivered"
    twilio.messages[1].status, twilio.messages[1].error_code = "undelivered", 30005
    for _ in range(3):
        await world.settle()
    [delivered] = await world.told(ReminderDelivered)
    [failed] = await world.told(ReminderFailed)
    assert (failed.reason_class, failed.touch_failed) == ("twilio-30005", True)
    assert delivered.touch_id != failed.touch_id
    assert [event.reason for event in await world.told(ContactSuppressed)] == ["invalid-number"]


async def test_what_was_taken_before_is_not_looked_at_again(world: World, twilio: TwilioServer) -> None:
    """Twilio lists a day and more each time, of which most was taken long ago."""
    await text(world)
    for n in range(5):
        twilio.receive(NUMBER, OURS, f"later {n}")
    for _ in range(2):
        await world.settle()
    poll = world.task("twilio-poll")
    with sent_by(world.service.db.engine) as statements:
        assert await poll.run() == 0
    assert len([one for one in statements if one.startswith("INSERT")]) == 1, "how far was read"
    assert len(await world.told(ReplyReceived)) == 5
    twilio.receive(NUMBER, OURS, "and again")
    assert await poll.run() == 1
    assert len(await world.told(ReplyReceived)) == 6


async def test_replies_are_polled_and_taken_once(world: World, twilio: TwilioServer) -> None:
    customer = await world.customer(language="de")
    await world.settle()
    twilio.receive(NUMBER, OURS, "Stop bitte")
    for _ in range(3):
        await world.settle()
    [closed] = await world.told(ContactSuppressed)
    assert (closed.customer_id, closed.channel, closed.reason) == (customer.id, "sms", "opt-out")
    [confirmed] = [taken for taken in twilio.messages if taken.direction == "outbound-api"]
    assert (confirmed.to, confirmed.sender) == (NUMBER, OURS)
    assert "keine SMS mehr" in confirmed.body
    await world.remind(customer, world.invoice(customer), channels=(Channel.SMS,))
    await world.settle()
    assert [event.reason for event in await world.told(ReminderFailed)] == ["sms: suppressed"]
    twilio.receive(NUMBER, OURS, "START")
    twilio.receive(NUMBER, OURS, "when will you call me?")
    for _ in range(3):
        await world.settle()
    assert [event.customer_id for event in await world.told(ContactRestored)] == [customer.id]
    assert [event.customer_id for event in await world.told(ReplyReceived)] == [customer.id]
