"""Broker and database go away under the load of four running services, and come back: nothing lost or doubled."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from remit_testing.figures import Invariant
from remit_testing.fixtures import MakeDatabase
from remit_testing.kafka import KafkaServer
from remit_testing.own_postgres import OwnPostgres
from remit_testing.scene import Scene, scene
from remit_testing.stores import Stores

from remit_local.postgres import wait_until_ready

LONG = 60.0
# How long before the broker's return one service is told to stop, in turn, in every fifth round and every long one.
TOLD_BEFORE = 30.0
TOLD_TO_STOP = ("notifier-svc", "scheduler-svc", "escalation-svc", "invoice-svc")
RESUME_SECONDS = 60.0
SETTLE_SECONDS = 120.0
# Per service process: the pool, the relay's, the worker's lock, and those of the event log on PostgreSQL.
CONNECTIONS = 10 + 20 + 12


@pytest.mark.kafka
async def test_kafka_is_stopped_killed_and_started(
    make_database: MakeDatabase,
    tmp_path: Path,
    own_kafka: KafkaServer,
    rounds: Callable[..., int],
    chance: random.Random,
    invariant: Callable[[int, str], Invariant],
) -> None:
    """Stopped in good order or by kill -9, away for up to a minute; work goes on within a minute of its return.

    A service that is told to stop meanwhile does so within its grace, as do all after the last outage.
    """
    total = rounds(full=200, short=1)
    hits, slowest, ends = Counter[str](), 0.0, list[float]()
    turns = itertools.cycle(TOLD_TO_STOP)
    async with scene(make_database, tmp_path, events_url=own_kafka.url) as on:
        for n in range(total):
            how = ("killed", "stopped")[n % 2]
            away = LONG if n % 20 == 19 else chance.uniform(0, 6)
            hits[f"{how}, away {'60' if away == LONG else '0-6'} s"] += 1
            async with on.busy():
                await asyncio.sleep(chance.uniform(0.5, 2))
                await asyncio.to_thread(own_kafka.kill if how == "killed" else own_kafka.stop)
                told = next(turns) if n % 5 == 0 or away == LONG else None
                await asyncio.sleep(max(away - TOLD_BEFORE, 0))
                ending = asyncio.create_task(on.running.end(told)) if told else None
                await asyncio.sleep(min(away, TOLD_BEFORE))
                await asyncio.to_thread(own_kafka.start)
                if told and ending:
                    ends.append(await ending)
                    on.running.start(told)
                    await on.running.ready((told, 0))
            slowest = max(slowest, await resumed(on))
            await on.settled(SETTLE_SECONDS)
        result = await on.reckoned(SETTLE_SECONDS)
    assert result.deliveries["unknown"] == 0, result.deliveries
    invariant(7, "broker stopped, killed, restarted under four services").held(
        rounds=total, events=on.events, lost=0, doubled=0, slowest_resume_s=round(slowest, 1), hits=dict(hits)
    )
    invariant(10, "SIGTERM while the broker is away").held(rounds=len(ends), slowest_end_s=round(max(ends), 1))


async def resumed(on: Scene) -> float:
    """Seconds until an invoice posted now is in the books of scheduler-svc."""
    began = time.monotonic()
    before = set(on.traffic.fresh)
    await on.traffic.issue(1)
    [invoice] = set(on.traffic.fresh) - before
    async with Stores(on.installation) as stores:
        while not await stores.rows("scheduler-svc", "SELECT FROM follow_up WHERE invoice_id = $1", invoice):
            assert time.monotonic() - began < RESUME_SECONDS, f"no work a minute after\n{on.running.said()}"
            await asyncio.sleep(0.1)
    return time.monotonic() - began


async def test_postgresql_is_stopped_immediately(
    own_postgres: OwnPostgres,
    open_folder: Path,
    rounds: Callable[..., int],
    chance: random.Random,
    invariant: Callable[[int, str], Invariant],
) -> None:
    """`-m immediate` under all four databases and the event log: nothing lost, no connection left over."""
    total = rounds(full=200, short=2)
    async with scene(own_postgres.make, open_folder) as on:
        for _ in range(total):
            async with on.busy():
                await asyncio.sleep(chance.uniform(1, 3))
                await asyncio.to_thread(own_postgres.stop_immediately)
                await asyncio.sleep(chance.choice((0, 0, 1, 3)))
                await asyncio.to_thread(own_postgres.start)
                await wait_until_ready(own_postgres.url("postgres"))
            await on.settled(SETTLE_SECONDS)
        result = await on.reckoned(SETTLE_SECONDS)
        there = await own_postgres.clients()
    stuck = {who: n for who, n in there.items() if "in transaction" in who}
    assert stuck == {}
    by_service = Counter[str]()
    for who, n in there.items():
        by_service[who.partition(":")[0]] += n
    assert max(by_service.values()) <= CONNECTIONS, by_service
    assert await own_postgres.clients() == {}, "connections outlive their processes"
    invariant(8, "PostgreSQL stopped -m immediate under four services").held(
        rounds=total, events=on.events, lost=0, doubled=0, leaked_connections=0, **result.deliveries
    )
