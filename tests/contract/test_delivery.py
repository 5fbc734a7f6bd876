"""Outbox to effect over either transport: nothing lost, one effect each, in order per key, while things break."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from uuid import uuid4

import pytest
from remit_testing.delivery import DeliveryDatabase, FaultyBus, SettableClock, event, number_of, writing

from remit_events.bus import Bus, BusError, Received, open_bus
from remit_events.consumer import Consumer
from remit_events.relay import Relay
from remit_events.session import Session

TOPIC = "remit.notifications.v1"


@pytest.fixture(params=["postgresql", pytest.param("kafka", marks=pytest.mark.kafka)])
async def process(request: pytest.FixtureRequest, delivery_url: str) -> AsyncIterator[Callable[[], Bus]]:
    """Opens a bus as another process would have it; all in a namespace of this test."""
    url = str(request.getfixturevalue("kafka_url")) if request.param == "kafka" else delivery_url
    prefix = f"t{uuid4().hex}."
    opened: list[Bus] = []

    def open_one() -> Bus:
        opened.append(open_bus(url, prefix=prefix))
        return opened[-1]

    await open_one().ensure_topics()
    yield open_one
    for bus in opened:
        await bus.close()


async def test_one_effect_each_while_relays_die_and_members_come_and_go(
    process: Callable[[], Bus], delivery_database: DeliveryDatabase
) -> None:
    """Two relays whose acknowledgements get lost, members 1 → 3 → 1 that crash before their offsets are committed."""
    chance = random.Random(11)  # noqa: S311
    database, clock = delivery_database, SettableClock()
    customers = [uuid4() for _ in range(15)]
    rounds, stop = 120, asyncio.Event()
    stops = [asyncio.Event() for _ in range(3)]
    crashes = 0

    async def write() -> None:
        for n in range(rounds):
            await database.emit(*(event(c, n) for c in customers))
            await asyncio.sleep(0.02)

    async def relay() -> None:
        bus = FaultyBus(process())
        task = Relay(database, bus, "/notifier-svc", clock, batch=40)
        while not stop.is_set():
            bus.fail_after = chance.randrange(2)
            try:
                await task.run()
            except BusError:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.01)
        await task.close()

    async def handle(session: Session, batch: Sequence[Received]) -> None:
        await writing("c")(session, batch)
        if chance.random() < 0.1:
            raise ConnectionResetError("the database went away")

    async def consume(leave: asyncio.Event) -> None:
        nonlocal crashes
        bus = process()
        task = Consumer("c", database, bus, [TOPIC], handle, clock, batch=60)
        while not leave.is_set():
            try:
                await task.run()
            except (ConnectionResetError, BusError):
                crashes += 1
            await asyncio.sleep(0.02)
        await task.close()

    async def come_and_go() -> None:
        await asyncio.sleep(0.5)
        others = [asyncio.create_task(consume(leave)) for leave in stops[1:]]
        await asyncio.sleep(2.5)
        for leave, task in zip(stops[1:], others, strict=True):
            leave.set()
            await task

    relays = [asyncio.create_task(relay()) for _ in range(2)]
    first = asyncio.create_task(consume(stops[0]))
    await asyncio.gather(write(), come_and_go())
    wanted = {str(c): list(range(rounds)) for c in customers}
    for _ in range(400):
        if await database.rows("SELECT count(*) FROM effect") == [(rounds * len(customers),)]:
            break
        await asyncio.sleep(0.1)
    stop.set()
    stops[0].set()
    await asyncio.gather(first, *relays)
    assert crashes > 0
    assert await database.effects() == wanted
    assert await database.rows("SELECT count(*) FROM dead_letter") == [(0,)]


async def test_poison_on_the_way_of_others(process: Callable[[], Bus], delivery_database: DeliveryDatabase) -> None:
    database, bus, clock = delivery_database, process(), SettableClock()
    bad, *good = (uuid4() for _ in range(8))

    async def handle(session: Session, batch: Sequence[Received]) -> None:
        await writing("c")(session, batch)
        if any(r.message.partition_key == str(bad) and number_of(r) == 3 for r in batch):
            raise ValueError("not this one")

    relay = Relay(database, bus, "/notifier-svc", clock)
    consumer = Consumer("c", database, bus, [TOPIC], handle, clock)
    await database.emit(*(event(c, n) for n in range(6) for c in (bad, *good)))
    assert await relay.run() == 48
    async with asyncio.timeout(30):
        settled = 0
        while settled < 48:
            settled += await consumer.run()
    assert await database.effects() == {str(bad): [0, 1, 2]} | {str(c): list(range(6)) for c in good}
    assert await database.rows("SELECT status, count(*) FROM dead_letter GROUP BY 1 ORDER BY 1") == [
        ("dead", 1),
        ("parked", 2),
    ]
    assert await bus.lag("c", [TOPIC]) == 0
    await relay.close()
