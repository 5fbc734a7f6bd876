"""The time-lapse: settles one instant wholly, then jumps to the next thing due; never a timer.

At an instant: payments, issues, events, steps, rungs, in that order. Events are passed on until quiet: relays, the
consumers that something is sent by, deliveries; then, in one batch, the one that only takes note (the ladder's cases).
Then the sweep, then, when no step is left, the rungs; until nothing moves any more. Consumers of a stage run side by
side: each has a database of its own, and none publishes meanwhile. The timeline, which nothing hangs on, reads on now
and then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from remit_events.consumer import Consumer
from remit_events.pruning import Pruning
from remit_events.relay import Relay
from remit_local.agenda import Agenda, Input
from remit_local.system import System
from remit_service.clock import SimulatedClock
from remit_service.idempotency import PurgeAnswers
from remit_service.service import Task

# How many instants pass between two looks at outboxes and group lags; the last one is always looked at.
VERIFY_EVERY = 100
MOST_ROUNDS = 10_000
NEVER = 1e9
# Offsets are committed now and then, and before anybody looks at lags.
OFFSETS_SECONDS = 5.0

SIDE_BY_SIDE = ("relays", "acting", "noting", "recording")
# What is sent or decided at an instant goes by these groups; the others can read all of it at once.
ACTING = ("scheduler-svc", "notifier-svc")
NOTING = ("escalation-svc",)
BY_THE_CLOCK = ("others", "sweep", "rungs")


class NotSettledError(Exception):
    """An instant that should be settled is not: a fault of Remit, told with what is left where."""


class Posts(Protocol):
    async def post(self, inputs: Sequence[Input]) -> None: ...


Passed = Callable[[datetime], Awaitable[None]]


class Timelapse:
    """Drives a system whose clock it holds."""

    def __init__(self, system: System, clock: SimulatedClock, posts: Posts) -> None:
        self._system = system
        self._clock = clock
        self._posts = posts
        self._stages = _stages(system)
        self.instants = 0

    async def play(self, agenda: Agenda, until: datetime | None, entering: Passed) -> None:
        """Plays everything due up to `until` (inclusive; None: until nothing is due any more).

        `entering` is awaited before each instant. Raises NotSettledError.
        """
        while (at := await self._next(agenda)) is not None and (until is None or at <= until):
            self._clock.set(max(at, self._clock.now()))
            await entering(at)
            await self.instant(agenda.take(at))
            if self.instants % VERIFY_EVERY == 0:
                await self.verify()
        await self.verify()

    async def instant(self, inputs: Sequence[Input]) -> None:
        """Posts what happens now and settles everything that follows from it now."""
        self.instants += 1
        await self._posts.post([one for one in inputs if not one.waits])
        later = [one for one in inputs if one.waits]
        if later:
            await self._quiet()
            await self._posts.post(later)
        await self.settle()

    async def settle(self) -> None:
        """Events, steps, rungs, until nothing moves."""
        for _ in range(MOST_ROUNDS):
            await self._quiet()
            # The ladder's cases have a database of their own, and say nothing before the rungs are looked at.
            if sum(await asyncio.gather(self._run("sweep"), self._run("noting"))):
                continue
            if not await self._run("rungs"):
                return
        raise NotSettledError(f"{self._clock.now().isoformat()} does not come to rest")

    async def verify(self) -> None:
        """Raises NotSettledError unless outboxes are empty, groups have read all, and no task is due."""
        while await self._run("recording"):
            pass
        for task in self._system.tasks:
            if isinstance(task, Consumer):
                await task.commit()
        left = await self._system.unsettled()
        left |= {f"{name} due {at.isoformat()}": 1 for name, at in (await self._system.due()).items()}
        if left:
            places = ", ".join(f"{place}: {count}" for place, count in left.items())
            raise NotSettledError(f"{self._clock.now().isoformat()} is not settled: {places}")

    async def _quiet(self) -> None:
        """Passes events on until all are where they belong."""
        for _ in range(MOST_ROUNDS):
            moved = await self._run("relays")
            moved += await self._run("acting")
            moved += await self._run("others")
            if not moved:
                return
        raise NotSettledError(f"{self._clock.now().isoformat()}: events do not come to rest")

    async def _run(self, stage: str) -> int:
        """One run of each task of a stage; how many things were done."""
        tasks = self._stages[stage]
        if stage in SIDE_BY_SIDE:
            return sum(await asyncio.gather(*(task.run() for task in tasks)))
        return sum([await task.run() for task in tasks])

    async def _next(self, agenda: Agenda) -> datetime | None:
        moments = [await task.next_at() for stage in BY_THE_CLOCK for task in self._stages[stage]]
        return min((at for at in (agenda.next_at(), *moments) if at is not None), default=None)


def _stages(system: System) -> dict[str, list[Task]]:
    """The tasks by stage. Housekeeping is left out: it forgets by the clock what a time-lapse need not forget."""
    stages: dict[str, list[Task]] = {name: [] for name in (*SIDE_BY_SIDE, *BY_THE_CLOCK)}
    for task in system.tasks:
        if isinstance(task, Relay):
            task.poll = NEVER  # every writer is in this process and wakes it
        if isinstance(task, Consumer):
            task.offsets_seconds = OFFSETS_SECONDS
        if not isinstance(task, PurgeAnswers | Pruning):
            stages[_stage(task)].append(task)
    return stages


def _stage(task: Task) -> str:
    if isinstance(task, Relay):
        return "relays"
    if isinstance(task, Consumer):
        return "acting" if task.name in ACTING else "noting" if task.name in NOTING else "recording"
    return {0: "others", 1: "sweep", 2: "rungs"}[task.phase]
