"""Whom may be written to, and when: stops and bounces hold from the next send on; nothing at night, once across DST."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from remit_testing.figures import Invariant
from remit_testing.fixtures import MakeDatabase
from remit_testing.notifier import World
from remit_testing.smtp import MailServer
from remit_testing.twilio import SID, TOKEN, TwilioServer
from remit_testing.weeks import weeks

from remit_events.notifications import ContactSuppressed, ReminderFailed
from remit_events.state import Channel

OURS = "+4915112345678"
WORDS = ("STOP", "stop", " Stop. ", "UNSUBSCRIBE", "STOPALL", "stop please")
# Clocks change within these five weeks: New York on 8 March, Berlin on the 29th, Auckland on 5 April.
ZONES = ("America/New_York", "Europe/Berlin", "Pacific/Auckland", "Asia/Kolkata")
DAYS = 36
MORNING, NIGHT = 8, 21


async def test_a_stop_is_respected_from_the_next_send_on(
    make_database: MakeDatabase,
    tmp_path: Path,
    rounds: Callable[..., int],
    chance: random.Random,
    invariant: Callable[[int, str], Invariant],
) -> None:
    total, before = rounds(full=200, short=10), 0
    async with TwilioServer() as twilio:
        account = {"twilio_account_sid": SID, "twilio_auth_token": TOKEN, "twilio_base_url": twilio.url}
        pace = {"twilio_rate": 1000, "twilio_poll_seconds": 1e-6, "allowlist": ",".join(map(_number, range(total)))}
        world = await World.open(
            make_database, tmp_path, delivery_mode="allowlist", smtp_host="127.0.0.1", **account, **pace
        )
        twilio.now = world.clock.now
        for n in range(total):
            customer = await world.customer(phone=_number(n))
            await world.settle()
            dues = [world.due(customer, world.invoice(customer), channels=(Channel.SMS,)) for _ in range(3)]
            stopped_after = chance.randrange(3)
            for k, due in enumerate(dues):
                if k == stopped_after:
                    twilio.receive(_number(n), OURS, chance.choice(WORDS))
                    await world.settle()
                    allowed = len(_sent(twilio, n))
                await world.publish(due)
                await world.settle()
            assert len(_sent(twilio, n)) == allowed, "one confirmation, and nothing after it"
            assert allowed == stopped_after + 1
            before += stopped_after
        closed = await world.told(ContactSuppressed)
        await world.close()
    assert Counter(one.reason for one in closed) == Counter({"opt-out": total})
    invariant(19, "opt-out respected from the next send on").held(rounds=total, sent_before=before, sent_after=0)


def _number(n: int) -> str:
    return f"+49176{n:08}"


def _sent(twilio: TwilioServer, n: int) -> list[str]:
    return [one.sid for one in twilio.messages if one.to == _number(n) and one.direction == "outbound-api"]


async def test_a_hard_bounce_is_never_tried_again(
    make_database: MakeDatabase,
    tmp_path: Path,
    rounds: Callable[..., int],
    invariant: Callable[[int, str], Invariant],
) -> None:
    """Neither this message nor the next to the address; the touch is told as failed, for the next channel."""
    total = rounds(full=200, short=10)
    async with MailServer() as server:
        given: dict[str, Any] = {
            "smtp_host": "127.0.0.1",
            "smtp_port": server.port,
            "smtp_security": "none",
            "smtp_rate": 10_000,
        }
        world = await World.open(
            make_database, tmp_path, delivery_mode="allowlist", allowlist="@muster.example", **given
        )
        for _ in range(total):
            customer = await world.customer()
            server.script("RCPT", "550 5.1.1 no such user")
            for _ in range(2):
                await world.remind(customer, world.invoice(customer))
                await world.settle()
        world.clock.set(world.clock.now() + timedelta(days=1))
        await world.settle()
        closed, failed = await world.told(ContactSuppressed), await world.told(ReminderFailed)
        tried = await world.rows("SELECT attempts, count(*) AS n FROM delivery GROUP BY 1")
        await world.close()
    assert server.messages == []
    assert Counter(one.reason for one in closed) == Counter({"hard-bounce": total})
    assert Counter(one.touch_failed for one in failed) == Counter({True: 2 * total})
    attempts = {row.attempts: row.n for row in tried}
    assert attempts.get(1) == total
    assert max(attempts) == 1
    invariant(20, "hard bounce").held(rounds=total, retries=0, suppressed=total, told_for_the_next_channel=len(failed))


async def test_once_across_dst_and_never_at_night(
    make_database: MakeDatabase,
    tmp_path: Path,
    rounds: Callable[..., int],
    chance: random.Random,
    invariant: Callable[[int, str], Invariant],
) -> None:
    total, messages, at_night = rounds(full=20, short=0), 0, 0
    for _ in range(total):
        async with weeks(make_database, tmp_path, chance, zones=ZONES, profile="individual", hours=range(24)) as on:
            await on.play(days=DAYS)
            sent = await on.api.all("notifier-svc", "/v1/deliveries", status="sent")
            zone = {one["id"]: one["timezone"] for one in await on.api.all("invoice-svc", "/v1/customers")}
            ends = await on.decisions()
        for one in sent:
            local = datetime.fromisoformat(one["sent_at"]).astimezone(ZoneInfo(zone[one["customer_id"]]))
            at_night += not MORNING <= local.hour < NIGHT
        messages += len(sent)
        twice = [(number, step) for number, steps in ends.items() for step, n in _steps(steps).items() if n > 1]
        assert twice == []
    assert at_night == 0
    invariant(14, "once across DST, nothing at night").held(
        rounds=total, messages=messages, zones=len(ZONES), doubled=0, at_night=at_night
    )


def _steps(ends: list[tuple[str, str, str]]) -> Counter[str]:
    return Counter(step for step, *_ in ends)
