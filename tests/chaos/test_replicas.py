"""Two of every service at once, relays, consumers, sweeps and senders: they share, die and restart; effects are one."""

from __future__ import annotations

import random
import statistics
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from remit_testing.figures import Invariant
from remit_testing.fixtures import MakeDatabase
from remit_testing.kills import EVERYWHERE, SENDING, killed_once
from remit_testing.running import Running, Who
from remit_testing.scene import UNKNOWN_PER_CRASH, scene

from remit_local.home import SERVICES

# As deploy/k8s gives a worker.
GRACE_SECONDS = 40.0
SETTLE_SECONDS = 90.0
# What both replicas of a service must have had a part in.
SHARED = {
    "invoice-svc": "remit_outbox_published_total",
    "scheduler-svc": "remit_reviews_total",
    "notifier-svc": "remit_handed_over_total",
    "escalation-svc": "remit_consumer_handled_total",
}


@pytest.mark.kafka
async def test_two_of_each_killed_under_load(
    make_database: MakeDatabase,
    tmp_path: Path,
    kafka_url: str,
    rounds: Callable[..., int],
    chance: random.Random,
    invariant: Callable[[int, str], Invariant],
) -> None:
    total = rounds(full=200, short=0)
    points = {name: [*EVERYWHERE, *(SENDING if name == "notifier-svc" else ())] for name in SERVICES[:3]}
    async with scene(make_database, tmp_path, events_url=kafka_url, replicas=2) as on:
        async with on.busy():
            for _ in range(20):
                await on.traffic.round()
            shares = await shares_of(on.running)
            for n in range(total):
                service = SERVICES[n % 3]
                await killed_once(on.running, service, chance.choice(points[service]))
        result = await on.reckoned(SETTLE_SECONDS)
        hits = dict(sorted(Counter(f"{name} {point}" for name, point in on.running.kills).items()))
        died = sum(service == "notifier-svc" for service, _ in on.running.kills)
    assert all(min(share) > 0 for share in shares.values()), shares
    assert result.deliveries["unknown"] <= died * UNKNOWN_PER_CRASH, result.deliveries
    held = {"rounds": total, "events": on.events, "lost": 0, "doubled": 0, "hits": hits}
    invariant(5, "two relays, sweeps and senders of every service at once, kill -9").held(**held, shares=shares)
    invariant(6, "every copy in its newest version, two of every service, kill -9").held(**held)


async def shares_of(running: Running) -> dict[str, list[int]]:
    """Per service what each replica has done."""
    found: dict[str, list[int]] = {}
    async with httpx.AsyncClient(trust_env=False) as client:
        for name, n in sorted(running.everybody):
            answer = await client.get(f"{running.installations[n].addresses.url(name)}/metrics")
            done = sum(
                sample.value
                for family in text_string_to_metric_families(answer.text)
                for sample in family.samples
                if sample.name == SHARED[name]
            )
            found.setdefault(name, []).append(round(done))
    return found


@pytest.mark.kafka
async def test_rolling_restarts_under_load(
    make_database: MakeDatabase,
    tmp_path: Path,
    kafka_url: str,
    rounds: Callable[..., int],
    chance: random.Random,
    invariant: Callable[[int, str], Invariant],
) -> None:
    """SIGTERM: what is under way is finished, within the grace; nothing is left unknown."""
    total = rounds(full=200, short=0)
    ends, starts, turns = list[float](), list[float](), list[Who]()
    async with scene(make_database, tmp_path, events_url=kafka_url, replicas=2) as on:
        async with on.busy():
            for _ in range(total):
                turns = turns or chance.sample(on.running.everybody, 2 * len(SERVICES))
                end, start = await on.running.restart(*turns.pop())
                ends.append(end)
                starts.append(start)
                on.running.check()
        result = await on.reckoned(SETTLE_SECONDS)
    assert max(ends) < GRACE_SECONDS, ends
    assert result.deliveries["unknown"] == 0, result.deliveries
    invariant(10, "SIGTERM drains within its grace, rolling restarts of two of every service").held(
        rounds=total,
        events=on.events,
        lost=0,
        doubled=0,
        unknown=0,
        median_end_s=round(statistics.median(ends), 1),
        slowest_end_s=round(max(ends), 1),
        median_start_s=round(statistics.median(starts), 1),
    )
