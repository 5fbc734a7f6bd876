"""Providers that break off, push back or stay away: at most one message each, and everything ends or is told."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY
from remit_testing.figures import Invariant
from remit_testing.fixtures import MakeDatabase
from remit_testing.notifier import World
from remit_testing.ports import free_port
from remit_testing.smtp import MailServer
from remit_testing.twilio import SID, TOKEN, TwilioServer
from remit_testing.wire import ANSWER, BEFORE, WHOLE, Wire

from remit_events.notifications import ReminderCancelled, ReminderFailed, ReminderSent, ReminderUnknown
from remit_events.state import Channel

LONGEST_BODY = 3_000
NUMBER = "+4917612345678"
STATUSES = "SELECT status, count(*) AS n FROM delivery GROUP BY 1"


@asynccontextmanager
async def opened(make_database: MakeDatabase, folder: Path, **settings: Any) -> AsyncIterator[World]:
    world = await World.open(make_database, folder, delivery_mode="allowlist", **settings)
    yield world
    await world.close()


def by_smtp(port: int) -> dict[str, Any]:
    given = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none", "smtp_rate": 10_000}
    return given | {"allowlist": "@muster.example", "smtp_timeout": 5}


def by_twilio(server: TwilioServer) -> dict[str, Any]:
    account = {"twilio_account_sid": SID, "twilio_auth_token": TOKEN, "twilio_base_url": server.url}
    pace = {"twilio_rate": 1000, "twilio_timeout": 0.3, "twilio_poll_seconds": 1e-6}
    return {"allowlist": NUMBER, "smtp_host": "127.0.0.1"} | account | pace


async def remind(world: World, count: int, channel: Channel = Channel.EMAIL) -> None:
    """As many invoices of one customer; the number of each is in its message."""
    customer = await world.customer()
    dues = [world.due(customer, world.invoice(customer, number=f"R-{n:04}"), channels=(channel,)) for n in range(count)]
    await world.publish(*dues)


async def come_to_rest(world: World) -> None:
    """Plays what falls due until no delivery is left to try."""
    await world.settle()
    while (due := await world.task("deliveries").next_at()) is not None:
        world.clock.set(due)
        await world.settle()


async def statuses(world: World) -> Counter[str]:
    return Counter({row.status: row.n for row in await world.rows(STATUSES)})


async def told(world: World) -> Counter[str]:
    kinds = (ReminderSent, ReminderFailed, ReminderUnknown, ReminderCancelled)
    return Counter({kind.__name__: len(await world.told(kind)) for kind in kinds})


async def test_the_line_to_the_smtp_server_is_cut_at_any_byte(
    make_database: MakeDatabase,
    tmp_path: Path,
    rounds: Callable[..., int],
    chance: random.Random,
    invariant: Callable[[int, str], Invariant],
) -> None:
    """Before DATA it certainly was not taken and goes again; from there on nobody knows, and it never goes again."""
    total = rounds(full=1_000, short=30)
    names = {BEFORE: "before DATA", ANSWER: "answer lost", WHOLE: "whole"}
    cuts = [
        chance.choice((BEFORE, ANSWER, WHOLE, *(chance.randrange(LONGEST_BODY) for _ in range(3))))
        for _ in range(total)
    ]
    async with (
        MailServer() as server,
        Wire(server.port) as wire,
        opened(make_database, tmp_path, **by_smtp(wire.port)) as world,
    ):
        wire.plan(*cuts)
        await remind(world, total)
        await come_to_rest(world)
        ended, events = await statuses(world), await told(world)
        rows = {str(row.id): row.status for row in await world.rows("SELECT id, status FROM delivery")}
    hits = Counter(names.get(cut, "in the message") for cut in cuts)
    taken = Counter(str(one.message["X-Remit-Delivery"]) for one in server.messages)
    assert max(taken.values()) == 1
    assert {one for one, status in rows.items() if status == "sent"} <= taken.keys()
    assert {rows[one] for one in taken} <= {"sent", "unknown"}
    unknown = hits["in the message"] + hits["answer lost"]
    assert ended == Counter(sent=total - unknown, unknown=unknown)
    assert events == Counter(ReminderSent=total - unknown, ReminderUnknown=unknown)
    assert len(taken) == total - hits["in the message"]
    invariant(17, "SMTP line cut before, in and after the message").held(
        rounds=total, lost=0, doubled=0, sent=ended["sent"], told_as_unknown=unknown, hits=dict(sorted(hits.items()))
    )


async def test_twilio_takes_and_drops_refuses_and_is_slow(
    make_database: MakeDatabase,
    tmp_path: Path,
    rounds: Callable[..., int],
    chance: random.Random,
    invariant: Callable[[int, str], Invariant],
) -> None:
    total = rounds(full=600, short=20)
    kinds = ("ok", "429", "429", "take-and-drop", "drop", "500", "slow")
    answers = [kind for _ in range(total) for kind in [chance.choice(kinds)] * (chance.randint(1, 8))][: 3 * total]
    async with TwilioServer(delay=0.5) as server, opened(make_database, tmp_path, **by_twilio(server)) as world:
        server.now = world.clock.now
        server.script(*answers)
        await remind(world, total, Channel.SMS)
        await come_to_rest(world)
        for _ in range(3):
            while await reconciled(world):
                pass
            world.clock.set(world.clock.now() + timedelta(minutes=11))
        ended, events = await statuses(world), await told(world)
        sids = {row.provider_id for row in await world.rows("SELECT provider_id FROM delivery WHERE status = 'sent'")}
    bodies = Counter(one.body for one in server.messages)
    hits = dict(sorted(Counter(answers[: server.posts]).items()))
    assert max(bodies.values()) == 1
    assert sids == {one.sid for one in server.messages}
    assert ended == Counter(sent=len(bodies), failed=total - len(bodies))
    assert (events["ReminderSent"], events["ReminderFailed"]) == (ended["sent"], ended["failed"])
    unknown = events["ReminderUnknown"]
    assert unknown > 0
    invariant(17, "Twilio takes it and drops the answer").held(
        rounds=total, doubled=0, unknown=unknown, reconciled=unknown, hits=hits
    )
    invariant(18, "429 bursts").held(rounds=hits.get("429", 0), messages=total, lost=0, doubled=0)


async def reconciled(world: World) -> int:
    task = world.task("reconcile")
    task._pace._at = None
    settled: int = await task.run()
    return settled


async def test_a_provider_that_is_away_for_a_day(
    make_database: MakeDatabase,
    tmp_path: Path,
    rounds: Callable[..., int],
    invariant: Callable[[int, str], Invariant],
) -> None:
    """All end, the operator is told, and what is asked for once it is back goes at once."""
    total, port = rounds(full=400, short=20), free_port()
    async with opened(make_database, tmp_path, **by_smtp(port)) as world:
        await remind(world, total)
        back_at = world.clock.now() + timedelta(hours=24)
        await world.settle()
        while (due := await world.task("deliveries").next_at()) is not None and due < back_at:
            world.clock.set(due)
            await world.settle()
        alert = REGISTRY.get_sample_value("remit_provider_left_alone", {"service": "notifier-svc", "provider": "smtp"})
        events, ended = await told(world), await statuses(world)
        world.clock.set(back_at)
        async with MailServer(port=port) as server:
            await remind(world, total)
            await come_to_rest(world)
            after = await statuses(world)
    assert alert == 1
    assert ended == Counter(cancelled=total)
    assert events["ReminderCancelled"] == total
    assert after == Counter(cancelled=total, sent=total)
    assert len(server.messages) == total
    invariant(33, "provider away for 24 h").held(rounds=1, messages=total, lost=0, ended=dict(ended), alerts=1)
