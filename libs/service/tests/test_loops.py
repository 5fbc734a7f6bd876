"""Live loops: work until idle, wait for a wake or the clock, back off from failures, drain on stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from remit_events.failures import StuckError
from remit_service.clock import WallClock
from remit_service.health import Health
from remit_service.metrics import TASK_DONE, TASK_FAILURES
from remit_service.service import Task, run_tasks


class Scripted:
    """A task whose runs are counted and timed."""

    phase = 0

    def __init__(self, run: Callable[[int], Awaitable[int]], *, due: datetime | None = None, poll: float = 5.0) -> None:
        self.name, self.wake, self.poll, self.due = "scripted", asyncio.Event(), poll, due
        self.runs: list[float] = []
        self._run = run

    async def run(self) -> int:
        self.runs.append(time.monotonic())
        return await self._run(len(self.runs))

    async def next_at(self) -> datetime | None:
        return self.due


async def idle(_: int) -> int:
    return 0


async def during(seconds: float, *tasks: Task, health: Health | None = None, drain: float = 5.0) -> float:
    """Runs the loops for a while; gives how long stopping took."""
    stop = asyncio.Event()
    running = asyncio.create_task(run_tasks(tasks, stop, health=health, service="loops", drain_seconds=drain))
    await asyncio.sleep(seconds)
    assert not running.done()
    started = time.monotonic()
    stop.set()
    await running
    return time.monotonic() - started


async def test_a_task_runs_until_it_is_idle():
    async def five(n: int) -> int:
        return 7 if n <= 5 else 0

    before = TASK_DONE.labels("loops", "scripted")._value.get()
    task = Scripted(five)
    await during(0.1, task)
    assert len(task.runs) == 6
    assert TASK_DONE.labels("loops", "scripted")._value.get() == before + 35


async def test_an_idle_task_waits_for_its_poll():
    task = Scripted(idle, poll=0.05)
    await during(0.3, task)
    assert 2 <= len(task.runs) <= 8
    assert min(later - earlier for earlier, later in pairwise(task.runs)) > 0.045


async def test_a_wake_ends_the_wait():
    task = Scripted(idle)

    async def wake() -> None:
        await asyncio.sleep(0.1)
        task.wake.set()

    waking = asyncio.create_task(wake())
    await during(0.5, task)
    await waking
    assert len(task.runs) == 2
    assert 0.05 < task.runs[1] - task.runs[0] < task.poll


async def test_a_wake_during_a_run_is_not_lost():
    task = Scripted(idle)

    async def woken(n: int) -> int:
        if n == 1:
            task.wake.set()
        return 0

    task._run = woken
    await during(0.1, task)
    assert len(task.runs) == 2


async def test_what_falls_due_by_the_clock_is_done_then():
    task = Scripted(idle, due=WallClock().now() + timedelta(seconds=0.15))

    async def once(n: int) -> int:
        if n > 1:
            task.due = None
        return 0

    task._run = once
    await during(0.6, task)
    assert len(task.runs) == 2
    assert 0.1 < task.runs[1] - task.runs[0] < task.poll


async def test_failures_back_off_are_counted_and_make_unready(capsys):
    async def failing(_: int) -> int:
        raise RuntimeError("no contact with anna@example.com")

    health, task = Health(), Scripted(failing)
    before = TASK_FAILURES.labels("loops", "scripted")._value.get()
    stop = asyncio.Event()
    running = asyncio.create_task(run_tasks([task], stop, health=health, service="loops"))
    await asyncio.sleep(1.0)
    stop.set()
    await running
    gaps = [later - earlier for earlier, later in pairwise(task.runs)]
    assert 3 <= len(task.runs) <= 4
    assert all(gap > pause * 0.95 for gap, pause in zip(gaps, (0.1, 0.2, 0.4), strict=False))
    assert health.reasons()["scripted"] == "RuntimeError: no contact with …"
    assert TASK_FAILURES.labels("loops", "scripted")._value.get() == before + len(task.runs)
    said = capsys.readouterr()
    assert "anna" not in said.out + said.err


async def test_what_only_a_new_process_can_mend_ends_this_one():
    async def stuck(_: int) -> int:
        raise StuckError("the group is joined in vain")

    async with asyncio.timeout(5):
        with pytest.raises(StuckError):
            await run_tasks([Scripted(stuck), Scripted(idle)], asyncio.Event(), service="loops")


async def test_one_success_makes_ready_again():
    async def flaky(n: int) -> int:
        if n <= 3:
            raise RuntimeError
        return 0

    health = Health()
    task = Scripted(flaky, poll=0.01)
    await during(1.5, task, health=health)
    assert health.reasons() == {"drain": "the process is stopping"}


async def test_a_failing_next_at_counts_as_a_failure_too():
    task = Scripted(idle, poll=0.01)

    async def broken() -> datetime | None:
        raise RuntimeError("no database")

    task.next_at = broken
    health = Health()
    await during(1.0, task, health=health)
    assert "scripted" in health.reasons()


async def test_one_failing_task_does_not_stop_another():
    async def failing(_: int) -> int:
        raise RuntimeError

    enough = asyncio.Event()

    async def counting(run: int) -> int:
        if run > 5:
            enough.set()
        return 0

    stop = asyncio.Event()
    tasks = [Scripted(failing), Scripted(counting, poll=0.01)]
    running = asyncio.create_task(run_tasks(tasks, stop, service="loops", drain_seconds=5.0))
    await asyncio.wait_for(enough.wait(), 30)
    stop.set()
    await running


async def test_stop_lets_a_run_finish():
    finished: list[bool] = []

    async def slow(_: int) -> int:
        await asyncio.sleep(0.3)
        finished.append(True)
        return 1

    task = Scripted(slow)
    took = await during(0.1, task)
    assert finished == [True]
    assert took < 3


async def test_what_does_not_drain_in_time_is_cut_off():
    async def endless(_: int) -> int:
        await asyncio.sleep(60)
        return 1

    assert await during(0.1, Scripted(endless), drain=0.2) < 10


async def test_stopping_an_idle_service_is_immediate():
    assert await during(0.05, Scripted(idle, poll=60), Scripted(idle, due=datetime(2100, 1, 1, tzinfo=UTC))) < 5


async def test_no_tasks_are_no_reason_to_end():
    await during(0.05)
