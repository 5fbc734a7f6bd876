"""A member that stops getting on: not ready, then it joins its group again, then its process ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY
from remit_testing.delivery import DeliveryDatabase, FaultyBus, SettableClock, record, writing

from remit_events import consumer as consumer_module
from remit_events import watchdog
from remit_events.bus import Delivered, Received
from remit_events.consumer import Consumer
from remit_events.failures import StuckError
from remit_events.session import Session
from remit_events.watchdog import StalledError

TOPIC = "remit.notifications.v1"
STALL = 0.7


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "STALL_SECONDS", STALL)
    monkeypatch.setattr(consumer_module, "OBSERVE_SECONDS", 0.0)


@pytest.fixture
def task(delivery_database: DeliveryDatabase, delivery_bus: FaultyBus) -> Consumer:
    return Consumer("c", delivery_database, delivery_bus, [TOPIC], writing("c"), SettableClock())


def lag() -> float | None:
    return REGISTRY.get_sample_value("remit_consumer_lag", {"service": "c", "consumer": "c"})


class Deaf:
    """Makes a subscription stop answering: until it is closed, or for good."""

    def __init__(self, task: Consumer, monkeypatch: pytest.MonkeyPatch, *, hangs: bool, for_good: bool) -> None:
        self.closed = 0
        subscription = task._subscription
        poll, close = subscription.poll, subscription.close

        async def deaf(*, limit: int = 500, timeout: float = 0.0) -> list[Delivered]:
            if self.closed and not for_good:
                return await poll(limit=limit, timeout=timeout)
            if hangs:
                await asyncio.Event().wait()
            return []

        async def closing() -> None:
            self.closed += 1
            await close()

        monkeypatch.setattr(subscription, "poll", deaf)
        monkeypatch.setattr(task._watchdog, "_leave", closing)


async def live(task: Consumer, runs: int = 200) -> None:
    """As the loop does: run after run, a failure that may pass is tried again."""
    for _ in range(runs):
        try:
            if await task.run():
                return
        except StalledError:
            continue
        await asyncio.sleep(STALL / 20)
    raise AssertionError("nothing came of it")


@pytest.mark.parametrize("hangs", [True, False])
async def test_a_deaf_member_joins_again_and_gets_on(
    task: Consumer, delivery_bus: FaultyBus, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    assert await task.run() == 0
    await delivery_bus.publish([record(uuid4(), 1)])
    deaf = Deaf(task, monkeypatch, hangs=hangs, for_good=False)
    await live(task)
    assert deaf.closed == 1
    assert await task.run() == 0
    assert task.healthy()
    assert lag() == 0


@pytest.mark.parametrize("hangs", [True, False])
async def test_one_that_stays_deaf_ends_its_process(
    task: Consumer, delivery_bus: FaultyBus, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    assert await task.run() == 0
    await delivery_bus.publish([record(uuid4(), 1)])
    deaf = Deaf(task, monkeypatch, hangs=hangs, for_good=True)
    with pytest.raises(StuckError, match="joining its group again 3 times did not help"):
        await live(task)
    assert deaf.closed == watchdog.REJOINS


async def test_lag_without_progress_is_not_healthy(
    task: Consumer, delivery_bus: FaultyBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await task.run() == 0
    assert task.healthy()
    await delivery_bus.publish([record(uuid4(), 1)])
    Deaf(task, monkeypatch, hangs=False, for_good=False)
    assert await task.run() == 0
    assert task.healthy()
    assert lag() == 1
    await asyncio.sleep(STALL)
    assert not task.healthy()
    await live(task)
    assert task.healthy()


async def test_a_handler_that_never_ends_has_no_effect_and_is_tried_again(
    delivery_database: DeliveryDatabase, delivery_bus: FaultyBus
) -> None:
    write, tries = writing("c"), 0

    async def handle(session: Session, batch: Sequence[Received]) -> None:
        nonlocal tries
        tries += 1
        await write(session, batch)
        if tries == 1:
            await asyncio.Event().wait()

    await delivery_bus.publish([record(uuid4(), 1)])
    await live(Consumer("c", delivery_database, delivery_bus, [TOPIC], handle, SettableClock()))
    assert tries == 2
    assert await delivery_database.rows("SELECT count(*) FROM effect") == [(1,)]


async def test_one_that_fails_is_not_stuck(
    task: Consumer, delivery_bus: FaultyBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is away for long is told by its failures; when it is back, work goes on at once."""
    await delivery_bus.publish([record(uuid4(), 1)])
    deaf = Deaf(task, monkeypatch, hangs=False, for_good=False)
    deaf.closed = 1

    async def down(*_: object) -> None:
        raise ConnectionRefusedError

    with monkeypatch.context() as patched:
        patched.setattr(task, "_settle", down)
        for _ in range(8):
            with pytest.raises(ConnectionRefusedError):
                await task.run()
            await asyncio.sleep(STALL / 4)
    assert await task.run() == 1
    assert deaf.closed == 1


async def test_long_work_that_gets_on_is_left_alone(
    delivery_database: DeliveryDatabase, delivery_bus: FaultyBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "STALL_SECONDS", 2.0)
    write = writing("c")

    async def handle(session: Session, batch: Sequence[Received]) -> None:
        await asyncio.sleep(0.3)
        await write(session, batch)

    await delivery_bus.publish([record(uuid4(), n) for n in range(8)])
    task = Consumer("c", delivery_database, delivery_bus, [TOPIC], handle, SettableClock(), batch=1)
    assert await task.run() == 8
