"""A consumer group grows from one member to five and shrinks again under load, while relays and members die."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from uuid import uuid4

import pytest
from remit_testing.delivery import DeliveryDatabase, FaultyBus, SettableClock, event, writing
from remit_testing.figures import Invariant

from remit_events.bus import Bus, BusError, Received, open_bus
from remit_events.consumer import Consumer
from remit_events.relay import Relay
from remit_events.session import Session

TOPIC = "remit.notifications.v1"
MEMBERS = 5
CUSTOMERS = 40
# A slow machine must not be left with more than can be read within DRAIN_SECONDS.
AHEAD = 4_000
JOIN_SECONDS = 60.0
DRAIN_SECONDS = 90.0


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


async def test_one_effect_each_while_members_come_and_go(
    process: Callable[[], Bus],
    delivery_database: DeliveryDatabase,
    rounds: Callable[..., int],
    chance: random.Random,
    invariant: Callable[[int, str], Invariant],
) -> None:
    """Two relays whose acknowledgements get lost; members whose handling fails, or whose offsets are not committed."""
    database, clock, total = delivery_database, SettableClock(), rounds(full=100, short=1)
    customers = [uuid4() for _ in range(CUSTOMERS)]
    written, done, hits, share = 0, 0, Counter[str](), Counter[int]()
    stop, over = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        nonlocal written
        while not stop.is_set():
            if written * CUSTOMERS < done + AHEAD:
                await database.emit(*(event(customer, written) for customer in customers))
                written += 1
            await asyncio.sleep(0.02)

    async def relay() -> None:
        bus = FaultyBus(process())
        task = Relay(database, bus, "/notifier-svc", clock, batch=40)
        while not over.is_set():
            bus.fail_after = int(chance.random() < 0.3)
            try:
                await task.run()
            except BusError:
                hits["answer to relay lost"] += 1
            await asyncio.sleep(0.01)
        await task.close()

    async def consume(number: int, leave: asyncio.Event) -> None:
        async def handle(session: Session, batch: Sequence[Received]) -> None:
            nonlocal done
            await writing("c")(session, batch)
            if chance.random() < 0.1:
                raise ConnectionResetError("the database went away")
            share[number] += len(batch)
            done += len(batch)

        bus = process()
        task = Consumer("c", database, bus, [TOPIC], handle, clock, batch=60)
        while not leave.is_set():
            try:
                await task.run()
            except (ConnectionResetError, BusError) as error:
                hits["handler failed" if isinstance(error, ConnectionResetError) else "bus failed"] += 1
            await asyncio.sleep(0.02)
        await task.close()
        await bus.close()
        hits["left"] += number > 0

    async def everybody_has_some() -> None:
        share.clear()
        async with asyncio.timeout(JOIN_SECONDS):
            while len(share) < MEMBERS:  # noqa: ASYNC110  nobody announces it
                await asyncio.sleep(0.1)

    async def come_and_go() -> None:
        for _ in range(total):
            leaves = [asyncio.Event() for _ in range(MEMBERS - 1)]
            others = []
            for number, leave in enumerate(leaves, 1):
                others.append(asyncio.create_task(consume(number, leave)))
                await asyncio.sleep(chance.uniform(0, 0.6))
            await everybody_has_some()
            for leave in chance.sample(leaves, len(leaves)):
                leave.set()
                await asyncio.sleep(chance.uniform(0, 0.3))
            await asyncio.gather(*others)
        stop.set()

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(relay())
        group.create_task(consume(0, over))
        await asyncio.gather(write(), come_and_go())
        give_up = time.monotonic() + DRAIN_SECONDS
        while await handled(database) < written * CUSTOMERS and time.monotonic() < give_up:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        over.set()
    assert await database.effects() == {str(customer): list(range(written)) for customer in customers}
    assert await database.rows("SELECT count(*) FROM dead_letter") == [(0,)]
    name = type(process()).__name__.removesuffix("Bus")
    invariant(9, f"group 1 → {MEMBERS} → 1 under load over {name}").held(
        rounds=total, events=written * CUSTOMERS, lost=0, doubled=0, inversions=0, hits=dict(sorted(hits.items()))
    )


async def handled(database: DeliveryDatabase) -> int:
    ((count,),) = await database.rows("SELECT count(*) FROM effect")
    return int(count)
