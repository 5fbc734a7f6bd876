"""A service as an object: its app, its resources, and the background tasks that live or simulated runs drive."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import structlog

from remit_events.failures import StuckError
from remit_service.clock import Clock, WallClock
from remit_service.database import Database
from remit_service.health import Health
from remit_service.logs import describe
from remit_service.metrics import TASK_DONE, TASK_FAILURES, TASK_SECONDS
from remit_service.settings import ServiceSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from remit_events.bus import Bus

POLL_SECONDS = 0.25
LONGEST_PAUSE = 30.0
FIRST_PAUSE = 0.1

log = structlog.get_logger(__name__)


@runtime_checkable
class Task(Protocol):
    """Work that falls due: by events, by the clock, or by rows another task left.

    `phase`: 0 transport, 1 the sweep, 2 rungs. A task may also have `wake: asyncio.Event`, set when there is
    something to do, and `poll: float`, the seconds between looks when nothing wakes it (default 0.25).
    """

    name: str
    phase: int

    async def run(self) -> int:
        """Does all that is due now, in batches; gives how many things were done (0: idle)."""
        ...

    async def next_at(self) -> datetime | None:
        """When the next thing falls due by the clock; None: nothing is planned."""
        ...


@dataclass
class Service:
    """One of the four, built by its `app.build`; the caller of `build` owns the bus and closes it."""

    name: str
    settings: ServiceSettings
    clock: Clock
    db: Database
    bus: Bus
    app: FastAPI
    tasks: list[Task]
    openers: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    closers: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    @property
    def health(self) -> Health:
        health: Health = self.app.state.remit.health
        return health

    async def start(self) -> None:
        """Opens what `build` registered in `openers`, in order."""
        for opening in self.openers:
            await opening()

    async def stop(self) -> None:
        """Closes the tasks that have `close()`, then what was opened, last first, then the database pool."""
        for task in self.tasks:
            close: Callable[[], Awaitable[None]] | None = getattr(task, "close", None)
            if close is not None:
                await close()
        for closing in reversed(self.closers):
            await closing()
        await self.db.close()

    async def run(self, stop: asyncio.Event) -> None:
        """The live loops of all tasks until `stop` is set, then their drain."""
        await run_tasks(
            self.tasks,
            stop,
            clock=self.clock,
            health=self.health,
            service=self.name,
            drain_seconds=self.settings.drain_seconds,
        )


async def run_tasks(
    tasks: Sequence[Task],
    stop: asyncio.Event,
    *,
    clock: Clock | None = None,
    health: Health | None = None,
    service: str = "remit",
    drain_seconds: float = 25.0,
) -> None:
    """Runs every task in its own loop until `stop`; what runs then has `drain_seconds` to finish."""
    clock, health = clock or WallClock(), health or Health()
    loops = [asyncio.create_task(_loop(task, stop, clock, health, service), name=task.name) for task in tasks]
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([*loops, stopping], return_when=asyncio.FIRST_COMPLETED)
        for loop in loops:
            if loop.done():
                loop.result()  # a loop never ends by itself: what broke it ends the process
        health.draining = True
        if loops:
            _, late = await asyncio.wait(loops, timeout=drain_seconds)
            for loop in late:
                log.error("task did not drain in time", service=service, task=loop.get_name())
    finally:
        for pending in (*loops, stopping):
            pending.cancel()
        await asyncio.gather(*loops, stopping, return_exceptions=True)


async def _loop(task: Task, stop: asyncio.Event, clock: Clock, health: Health, service: str) -> None:
    wake: asyncio.Event = getattr(task, "wake", None) or asyncio.Event()
    while not stop.is_set():
        wake.clear()
        started = time.perf_counter()
        try:
            done = await task.run()
            pause = 0.0 if done else await _idle_for(task, clock)
        except StuckError:
            raise
        except Exception as error:
            pause = _after_failure(task, error, health, service)
            await _wait(pause, stop)
            continue
        finally:
            TASK_SECONDS.labels(service, task.name).observe(time.perf_counter() - started)
        health.well(task.name)
        if done:
            TASK_DONE.labels(service, task.name).inc(done)
            await asyncio.sleep(0)
        else:
            await _wait(pause, stop, wake)


async def _idle_for(task: Task, clock: Clock) -> float:
    poll: float = getattr(task, "poll", POLL_SECONDS)
    due = await task.next_at()
    if due is None:
        return poll
    return min(max((due - clock.now()).total_seconds(), 0.001), poll)


def _after_failure(task: Task, error: Exception, health: Health, service: str) -> float:
    """Logs and counts the failure; gives the pause before the next try, doubling up to 30 s."""
    facts = describe(error)
    times = health.failed(task.name, facts["error"])
    pause = min(FIRST_PAUSE * 2.0 ** min(times - 1, 16), LONGEST_PAUSE)
    TASK_FAILURES.labels(service, task.name).inc()
    log.error("task failed", service=service, task=task.name, times=times, pause=pause, **facts)
    return pause


async def _wait(seconds: float, *events: asyncio.Event) -> None:
    """Until one of the events is set, at most `seconds`."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiting:
            waiter.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*waiting, return_exceptions=True)
