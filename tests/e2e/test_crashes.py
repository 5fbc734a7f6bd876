"""kill -9 of any one service at named points with deliveries in flight: nothing lost, nothing sent twice."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from remit_testing.at_once import AtOnce, now, rungs_settle_seconds
from remit_testing.fixtures import MakeDatabase
from remit_testing.installations import make_installation
from remit_testing.reckoning import reckon
from remit_testing.running import Running
from remit_testing.smtp_peer import SmtpPeer
from remit_testing.stores import Stores
from remit_testing.traffic import Traffic

from remit_events import faults
from remit_local.home import SERVICES

ROUNDS = 20
EVERYWHERE = (faults.BEFORE_COMMIT, faults.AFTER_COMMIT, faults.AFTER_PUBLISH, faults.BEFORE_OFFSET)
SENDING = (faults.SENDING, faults.ANSWERED)
# More wait for approval than are approved in all rounds, or escalation-svc would have nothing to tell in the last.
WAITING = 60
# Seconds from the start of the processes to the moment rungs are looked at; what comes before takes about 20.
RUNGS_AFTER = 60.0
# What a crash of notifier-svc may leave unknown: what is on its way, and as much whose answers are being stored.
CONNECTIONS = 8
UNKNOWN_PER_CRASH = 2 * CONNECTIONS
HIT_SECONDS = 60.0
SETTLE_SECONDS = 90.0


def kills(seed: int) -> list[tuple[str, str]]:
    """Every point of every service; twice in notifier-svc where a message is on its way. No service twice in a row."""
    chance = random.Random(seed)  # noqa: S311
    points = {name: list(EVERYWHERE) + (2 * list(SENDING) if name == "notifier-svc" else []) for name in SERVICES}
    for one in points.values():
        chance.shuffle(one)
    # escalation-svc has nothing to tell before its rungs were looked at.
    points["escalation-svc"].sort(key=lambda point: point in (faults.BEFORE_COMMIT, faults.BEFORE_OFFSET))
    turns = ("invoice-svc", "notifier-svc", "scheduler-svc", "escalation-svc", "notifier-svc") * len(EVERYWHERE)
    return [(name, points[name].pop()) for name in turns]


def test_every_point_of_every_service_is_planned() -> None:
    planned = kills(1)
    assert len(planned) == ROUNDS
    assert len(set(planned)) == len(EVERYWHERE) * len(SERVICES) + len(SENDING)
    assert {point for _, point in planned} == set(faults.POINTS)


async def test_killed_at_every_point_nothing_is_lost_and_nothing_sent_twice(
    make_database: MakeDatabase, tmp_path: Path, events_url: str | None, figure: Callable[[str], None]
) -> None:
    with SmtpPeer(delay=0.05) as peer:
        installation = await make_installation(make_database, tmp_path, events_url=events_url)
        started = now()
        settle = {"rungs_settle_seconds": rungs_settle_seconds(started, RUNGS_AFTER)}
        sending = peer.settings | {"smtp_connections": CONNECTIONS}
        installation = installation.with_extras({"notifier-svc": sending, "escalation-svc": settle})
        async with Running(installation, tmp_path) as running, Stores(installation) as stores:
            at_once = AtOnce(started)
            await at_once.rules(running.api)
            traffic = Traffic(running.api, at_once)
            await traffic.remind(WAITING, pay=False)
            await stores.settled(RUNGS_AFTER)
            assert now() < started + timedelta(seconds=RUNGS_AFTER), "reminders must be sent before rungs are looked at"
            async with busy(traffic):
                for service, point in kills(20260302):
                    await killed_once(running, service, point)
            await running.ready()
            await stores.settled(SETTLE_SECONDS)
            result = await reckon(stores, traffic, peer)
            running.check()
    assert result.faults == [], "\n".join(result.faults)
    died = sum(service == "notifier-svc" for service, _ in running.kills)
    assert 0 < result.deliveries["unknown"] <= died * UNKNOWN_PER_CRASH, result.deliveries
    assert result.deliveries["sent"] > 2 * result.deliveries["unknown"], result.deliveries
    where = "Kafka" if events_url else "PostgreSQL"
    seconds = (now() - started).total_seconds()
    figure(f"kill -9 over {where}: {len(running.kills)} rounds in {seconds:.0f} s, hits {hits(running.kills)}")
    figure(
        f"  deliveries {dict(result.deliveries)}, the SMTP server took {len(peer.ledger)}; steps {dict(result.steps)}"
    )
    figure(
        f"  {len(traffic.overdue)} overdue and {len(traffic.fresh)} new invoices, {len(traffic.paid)} payments, "
        f"{len(traffic.approved)} approvals"
    )


@asynccontextmanager
async def busy(traffic: Traffic) -> AsyncIterator[None]:
    """Posts with hardly a pause until the block ends, and then sees to it that all was answered."""
    ended = asyncio.Event()

    async def keep_on(post: Callable[[], Awaitable[None]], pause: float) -> None:
        while not ended.is_set():
            await post()
            await asyncio.sleep(pause)

    async with asyncio.TaskGroup() as group:
        group.create_task(keep_on(traffic.round, 0.5))
        group.create_task(keep_on(lambda: traffic.approve(1), 2))
        yield
        ended.set()


async def killed_once(running: Running, service: str, point: str) -> None:
    """Waits until the process comes to the point and dies there, and starts it again."""
    running.arm(service, point)
    give_up = time.monotonic() + HIT_SECONDS
    while not running.hit():
        running.check()
        assert time.monotonic() < give_up, f"{service} never came to {point}\n{running.said()}"
        await asyncio.sleep(0.02)
    await running.killed()
    running.start(service)


def hits(kills: list[tuple[str, str]]) -> str:
    """Per point how often, and of which services."""
    by_point = Counter(point for _, point in kills)
    of = {point: Counter(name for name, one in kills if one == point) for point in by_point}
    return "; ".join(
        f"{point} {count} ({', '.join(f'{name} {n}' for name, n in sorted(of[point].items()))})"
        for point, count in sorted(by_point.items())
    )


def test_the_clock_of_the_rungs() -> None:
    """Rungs are looked at when the test wants it, wherever in the minute it starts."""
    started = now()
    opened = (started - timedelta(minutes=5)).replace(second=0, microsecond=0)
    assert opened + timedelta(seconds=rungs_settle_seconds(started, 30)) == started + timedelta(seconds=30)
