"""kill -9 of any one service at named points with deliveries in flight: nothing lost, nothing sent twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from remit_testing.at_once import now, rungs_settle_seconds
from remit_testing.figures import Invariant
from remit_testing.fixtures import MakeDatabase
from remit_testing.kills import EVERYWHERE, SENDING, killed_once
from remit_testing.scene import UNKNOWN_PER_CRASH, scene

from remit_events import faults
from remit_local.home import SERVICES

TURNS = ("invoice-svc", "notifier-svc", "scheduler-svc", "escalation-svc", "notifier-svc") * len(EVERYWHERE)
# More wait for approval than are approved in all rounds, or escalation-svc would have nothing to tell in the last.
WAITING_PER_ROUND = 3
# Half the turns of each; notifier-svc dies with messages on their way in these.
SHORT = len(TURNS) // 2
# Seconds from the start of the processes to the moment rungs are looked at; what comes before takes about 20, and
# longer with more that wait.
RUNGS_AFTER = 60.0
WAITING_A_SECOND = 20
SETTLE_SECONDS = 90.0


def kills(chance: random.Random) -> list[tuple[str, str]]:
    """Every point of every service; twice in notifier-svc where a message is on its way. No service twice in a row."""
    points = {name: list(EVERYWHERE) + (2 * list(SENDING) if name == "notifier-svc" else []) for name in SERVICES}
    for one in points.values():
        chance.shuffle(one)
    # escalation-svc has nothing to tell before its rungs were looked at.
    points["escalation-svc"].sort(key=lambda point: point in (faults.BEFORE_COMMIT, faults.BEFORE_OFFSET))
    points["notifier-svc"].sort(key=lambda point: point in SENDING)
    return [(name, points[name].pop()) for name in TURNS]


def test_every_point_of_every_service_is_planned() -> None:
    planned = kills(random.Random(1))  # noqa: S311
    assert len(set(planned)) == len(EVERYWHERE) * len(SERVICES) + len(SENDING)
    assert {point for _, point in planned} == set(faults.POINTS)


async def test_killed_at_every_point_nothing_is_lost_and_nothing_sent_twice(
    make_database: MakeDatabase,
    tmp_path: Path,
    events_url: str | None,
    rounds: Callable[..., int],
    chance: random.Random,
    invariant: Callable[[int, str], Invariant],
) -> None:
    total = rounds(full=200, short=SHORT if events_url else 0)
    planned = [kill for _ in range(0, total, len(TURNS)) for kill in kills(chance)][:total]
    waiting = WAITING_PER_ROUND * total
    rungs_after = RUNGS_AFTER + waiting / WAITING_A_SECOND
    started = now()
    async with scene(make_database, tmp_path, events_url=events_url, rungs_after=rungs_after) as on:
        await on.traffic.remind(waiting, pay=False)
        await on.settled(rungs_after)
        assert now() < started + timedelta(seconds=rungs_after), "reminders must be sent before rungs are looked at"
        async with on.busy():
            for service, point in planned:
                await killed_once(on.running, service, point)
        result = await on.reckoned(SETTLE_SECONDS)
        died = sum(service == "notifier-svc" for service, _ in on.running.kills)
        hits = dict(sorted(Counter(f"{name} {point}" for name, point in on.running.kills).items()))
    assert 0 < result.deliveries["unknown"] <= died * UNKNOWN_PER_CRASH, result.deliveries
    assert result.deliveries["sent"] > 2 * result.deliveries["unknown"], result.deliveries
    assert result.texts["sent"] == len(on.twilio.messages) > 0
    where = "Kafka" if events_url else "PostgreSQL"
    seconds = round((now() - started).total_seconds())
    invariant(1, f"committed → published, kill -9 of any service over {where}").held(
        rounds=total, seconds=seconds, events=on.events, lost=0, doubled=0, hits=hits
    )
    invariant(17, f"kill -9 between `sending` and `sent`, bus on {where}").held(
        rounds=died, taken=len(on.peer.ledger) + len(on.twilio.messages), sent_twice=0, **result.deliveries
    )
    invariant(17, f"texts that a crash left unknown are looked up, bus on {where}").held(
        rounds=died, taken=len(on.twilio.messages), sent_twice=0, **result.texts
    )


def test_the_clock_of_the_rungs() -> None:
    """Rungs are looked at when the test wants it, wherever in the minute it starts."""
    started = now()
    opened = (started - timedelta(minutes=5)).replace(second=0, microsecond=0)
    assert opened + timedelta(seconds=rungs_settle_seconds(started, 30)) == started + timedelta(seconds=30)
