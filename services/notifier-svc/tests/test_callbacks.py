"""Twilio's callbacks: signed against the public URL, each taken once, forged ones never."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio
from remit_testing.fixtures import MakeDatabase
from remit_testing.notifier import World
from remit_testing.twilio import SID, TOKEN, TwilioServer
from twilio.request_validator import RequestValidator

from remit_events.notifications import (
    ContactRestored,
    ContactSuppressed,
    ReminderFailed,
    ReminderSent,
    ReminderUnknown,
    ReplyReceived,
)
from remit_events.state import Channel

PUBLIC = "https://pay.nordlicht.example/remit"
NUMBER = "+4917612345678"
OURS = "+4915112345678"
EVIL = "evil.example"
# What stands before the service may say anything about where a request came in.
PROXIES: list[dict[str, str]] = [
    {},
    {"Host": EVIL},
    {"X-Forwarded-Host": EVIL, "X-Forwarded-Proto": "http", "X-Forwarded-Port": "80", "X-Forwarded-Prefix": "/remit"},
    {"Forwarded": f"for=127.0.0.1;host={EVIL};proto=https", "X-Real-IP": "127.0.0.1"},
    {"X-Original-URL": "/livez", "X-Rewrite-URL": "/livez", "X-HTTP-Method-Override": "GET"},
]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def twilio() -> AsyncIterator[TwilioServer]:
    async with TwilioServer() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def shared(
    make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory, twilio: TwilioServer
) -> AsyncIterator[World]:
    given: dict[str, Any] = {
        "public_url": PUBLIC + "/",
        "delivery_mode": "allowlist",
        "allowlist": NUMBER,
        "smtp_host": "127.0.0.1",
        "twilio_account_sid": SID,
        "twilio_auth_token": TOKEN,
        "twilio_base_url": twilio.url,
        "twilio_timeout": 0.3,
    }
    opened = await World.open(make_database, tmp_path_factory.mktemp("callbacks"), **given)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def world(shared: World, twilio: TwilioServer) -> World:
    await shared.reset()
    twilio.messages.clear()
    twilio.now = shared.clock.now
    return shared


async def call(world: World, path: str, form: dict[str, str], *, signature: bytes | None = None, **headers: str) -> Any:
    """A callback as Twilio sends it; `signature` in place of the right one."""
    if signature is None:
        signature = RequestValidator(TOKEN).compute_signature(PUBLIC + path, form).encode()
    sent = {name: value.encode() for name, value in (FORM | headers).items()} | {"X-Twilio-Signature": signature}
    transport = httpx.ASGITransport(world.service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://10.0.0.7:8003") as client:
        return await client.post(path, content=urlencode(form), headers=sent)


def inbound(body: str, sid: str = "SM1", **given: str) -> dict[str, str]:
    return {"MessageSid": sid, "From": NUMBER, "To": OURS, "Body": body} | given


async def texted(world: World, twilio: TwilioServer) -> tuple[str, str]:
    """A sent SMS: its id at Twilio, and the path of its status callback."""
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer), channels=(Channel.SMS,))
    await world.settle()
    taken = twilio.messages[-1]
    assert taken.status_callback
    return taken.sid, taken.status_callback.removeprefix(PUBLIC)


@pytest.mark.parametrize("body", ["STOP", "stop please", "Unsubscribe", "OptOut", "please quit"])
async def test_a_stop_closes_the_number_at_once_and_is_confirmed_once(world: World, body: str) -> None:
    customer = await world.customer(language="fr")
    await world.settle()
    answer = await call(world, "/v1/callbacks/twilio/inbound", inbound(body))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    assert "vous ne recevrez plus de SMS" in answer.text
    [closed] = await world.told(ContactSuppressed)
    assert (closed.customer_id, closed.channel, closed.reason) == (customer.id, "sms", "opt-out")
    again = await call(world, "/v1/callbacks/twilio/inbound", inbound(body, "SM2"))
    assert "<Message>" not in again.text
    assert len(await world.told(ContactSuppressed)) == 1


async def test_no_reminder_follows_a_stop(world: World, twilio: TwilioServer) -> None:
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer), channels=(Channel.SMS, Channel.EMAIL))
    await world.task("notifier-svc").run()
    await call(world, "/v1/callbacks/twilio/inbound", inbound("stop"))
    await world.settle()
    assert await world.statuses() == {"email": "sent", "sms": "failed"}
    assert twilio.messages == []


async def test_start_restores_what_a_stop_closed_and_nothing_else(world: World) -> None:
    customer = await world.customer()
    await world.settle()
    for sid, body in enumerate(["STOP", "start", "START"]):
        await call(world, "/v1/callbacks/twilio/inbound", inbound(body, f"SM{sid}"))
    assert [event.customer_id for event in await world.told(ContactRestored)] == [customer.id]
    await world.execute(
        "INSERT INTO suppression (id, seller_id, channel, address_sha256, kind, reason, created_at) "
        "SELECT gen_random_uuid(), seller_id, 'sms', phone_sha256, 'full', 'invalid-number', CAST(:now AS timestamptz) "
        "FROM customer",
        now=world.clock.now(),
    )
    await call(world, "/v1/callbacks/twilio/inbound", inbound("START", "SM9"))
    assert len(await world.told(ContactRestored)) == 1


async def test_twilios_own_opt_out_is_taken_without_another_confirmation(world: World) -> None:
    await world.customer()
    await world.settle()
    answer = await call(world, "/v1/callbacks/twilio/inbound", inbound("Arrêt", OptOutType="STOP"))
    assert "<Message>" not in answer.text
    assert len(await world.told(ContactSuppressed)) == 1


async def test_other_replies_go_to_a_person(world: World) -> None:
    customer = await world.customer()
    await world.settle()
    answer = await call(world, "/v1/callbacks/twilio/inbound", inbound("I paid yesterday"))
    assert answer.text.endswith("<Response></Response>")
    assert [event.customer_id for event in await world.told(ReplyReceived)] == [customer.id]


async def test_a_reply_from_nobody_we_know_changes_nothing(world: World) -> None:
    answer = await call(world, "/v1/callbacks/twilio/inbound", inbound("STOP", From="+4930000000"))
    assert answer.status_code == 200
    assert await world.all_told() == []


async def test_a_message_goes_on(world: World, twilio: TwilioServer) -> None:
    sid, path = await texted(world, twilio)
    for word in ("sent", "delivered", "sent", "delivered"):
        answer = await call(world, path, {"MessageSid": sid, "MessageStatus": word})
        assert answer.status_code == 204
    assert await world.all_told() == ["ReminderSent", "ReminderDelivered"]
    [row] = await world.rows("SELECT status, provider_status, delivered_at FROM delivery")
    assert (row.status, row.provider_status, row.delivered_at) == ("sent", "delivered", world.clock.now())


async def test_a_bounce_fails_the_touch(world: World, twilio: TwilioServer) -> None:
    sid, path = await texted(world, twilio)
    await call(world, path, {"MessageSid": sid, "MessageStatus": "undelivered", "ErrorCode": "30005"})
    [failed] = await world.told(ReminderFailed)
    assert (failed.reason_class, failed.touch_failed) == ("twilio-30005", True)
    assert [event.reason for event in await world.told(ContactSuppressed)] == ["invalid-number"]


async def test_the_callback_settles_an_answer_we_lost(world: World, twilio: TwilioServer) -> None:
    twilio.script("take-and-drop")
    sid, path = await texted(world, twilio)
    assert len(await world.told(ReminderUnknown)) == 1
    await call(world, path, {"MessageSid": sid, "MessageStatus": "sent"})
    [sent] = await world.told(ReminderSent)
    assert sent.provider_id == sid
    assert await world.statuses() == {"sms": "sent"}


async def test_a_callback_that_overtakes_the_answer_counts_once(world: World, twilio: TwilioServer) -> None:
    async def overtaken() -> None:
        taken = twilio.messages[-1]
        assert taken.status_callback
        form = {"MessageSid": taken.sid, "MessageStatus": "sent"}
        await call(world, taken.status_callback.removeprefix(PUBLIC), form)

    twilio.before_answer = overtaken
    try:
        await texted(world, twilio)
    finally:
        twilio.before_answer = None
    assert await world.all_told() == ["ReminderSent"]


async def test_a_replay_is_inert(world: World, twilio: TwilioServer, rounds: Any, invariant: Any) -> None:
    """One after the other, and all at once."""
    sid, path = await texted(world, twilio)
    times = rounds(full=1_000, short=50)
    lost = {"MessageSid": sid, "MessageStatus": "undelivered", "ErrorCode": "30003"}
    stop = inbound("STOP", "SM9")
    for _ in range(5):
        assert (await call(world, path, lost)).status_code == 204
    answers = await asyncio.gather(*(call(world, "/v1/callbacks/twilio/inbound", stop) for _ in range(times)))
    assert {answer.status_code for answer in answers} == {200}
    assert len([answer for answer in answers if "<Message>" in answer.text]) == 1, "confirmed once"
    assert (len(await world.told(ReminderFailed)), len(await world.told(ContactSuppressed))) == (1, 1)
    assert len(await world.rows("SELECT * FROM callback")) == 2
    invariant(25, "a replayed callback is inert").held(rounds=times + 5, effects=2, doubled=0)


async def test_a_callback_about_another_message_of_twilios_is_ignored(world: World, twilio: TwilioServer) -> None:
    _, path = await texted(world, twilio)
    await call(world, path, {"MessageSid": "SMother", "MessageStatus": "failed"})
    assert await world.statuses() == {"sms": "sent"}


async def test_a_forged_signature_is_none(world: World, invariant: Any) -> None:
    """Every bit of it flipped, cut anywhere, for another place, key or body; whatever a proxy is said to have seen."""
    path, form = "/v1/callbacks/twilio/inbound", inbound("STOP")
    await world.customer()
    await world.settle()
    sign = RequestValidator(TOKEN).compute_signature
    right = sign(PUBLIC + path, form)
    flipped = [_flip(right.encode(), at, bit) for at in range(len(right)) for bit in range(8)]
    cut = [right[:length].encode() for length in range(len(right))]
    bodies = [
        form | {name: value[:at] + "x" + value[at + 1 :]} for name, value in form.items() for at in range(len(value))
    ]
    elsewhere = [
        sign("http" + PUBLIC.removeprefix("https") + path, form),
        sign("https://evil.example/remit" + path, form),
        sign("http://10.0.0.7:8003" + path, form),
        sign(PUBLIC + path + "?x=1", form),
        sign(PUBLIC + path.replace("inbound", "status"), form),
        *(sign(PUBLIC + path, other) for other in bodies if other != form),
        *(RequestValidator(key).compute_signature(PUBLIC + path, form) for key in ("", "another-token", TOKEN.upper())),
    ]
    more = [right + "=", right + " x", right.lower(), f"{right},{right}", b64encode(b"\0" * 20).decode()]
    forged = [*flipped, *cut, *(one.encode() for one in [*elsewhere, *more])]
    for number, signature in enumerate(forged):
        answer = await call(world, path, form, signature=signature, **PROXIES[number % len(PROXIES)])
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:remit:problem:bad-signature"), signature
    for proxy in PROXIES:
        evil = sign(f"https://{EVIL}/remit{path}", form)
        assert (await call(world, path, form, signature=evil, **proxy)).status_code == 403
    assert await world.told(ContactSuppressed) == []
    assert await world.rows("SELECT * FROM callback") == []
    for proxy in PROXIES:
        assert (await call(world, path, form, **proxy)).status_code == 200, "what a proxy adds is no harm either"
    assert len(await world.told(ContactSuppressed)) == 1
    invariant(24, "a forged signature").held(rounds=len(forged) + len(PROXIES), bits_flipped=len(flipped), accepted=0)


def _flip(right: bytes, at: int, bit: int) -> bytes:
    return right[:at] + bytes([right[at] ^ 1 << bit]) + right[at + 1 :]


async def test_without_a_public_address_there_are_no_callbacks(open_world: Any) -> None:
    plain = await open_world()
    assert (await call(plain, "/v1/callbacks/twilio/inbound", inbound("STOP"))).status_code == 404
