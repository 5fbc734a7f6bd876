"""PostgreSQL dies and comes back under relay, log and consumer: nothing lost, one effect, no connection left over."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from remit_testing.delivery import DeliveryDatabase, SettableClock, event, writing
from remit_testing.own_postgres import OwnPostgres

from remit_events.consumer import Consumer
from remit_events.failures import is_infrastructure
from remit_events.postgres_bus import PostgresBus
from remit_events.relay import Relay
from remit_local.postgres import wait_until_ready

TOPIC = "remit.notifications.v1"


async def test_postgresql_is_stopped_and_started_under_load(own_postgres: OwnPostgres) -> None:
    server = own_postgres
    await server.create_databases("service", "events")
    database, bus, clock = DeliveryDatabase(server.url("service")), PostgresBus(server.url("events")), SettableClock()
    await database.create()
    await bus.ensure_topics()
    relay = Relay(database, bus, "/notifier-svc", clock)
    consumer = Consumer("c", database, bus, [TOPIC], writing("c"), clock)
    customers = [uuid4() for _ in range(8)]
    committed: list[int] = []
    stop = asyncio.Event()

    async def write() -> None:
        n = 0
        while len(committed) < 120:
            try:
                await database.emit(*(event(c, n) for c in customers))
            except Exception as error:
                if not is_infrastructure(error):
                    raise
                # Whether the commit was done is not known: go on with the next number.
                await asyncio.sleep(0.02)
            else:
                committed.append(n)
            n += 1
            await asyncio.sleep(0.005)

    async def work(task: Relay | Consumer) -> None:
        while not stop.is_set():
            try:
                await task.run()
            except Exception as error:
                if not is_infrastructure(error):
                    raise
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.005)

    async def kill() -> None:
        for at in (30, 70):
            while len(committed) < at:  # noqa: ASYNC110  nobody announces it
                await asyncio.sleep(0.01)
            await asyncio.to_thread(server.stop_immediately)
            await asyncio.to_thread(server.start)
            await wait_until_ready(server.url("service"))

    working = [asyncio.create_task(work(relay)), asyncio.create_task(work(consumer))]
    await asyncio.gather(write(), kill())
    wanted = set(committed)
    for _ in range(200):
        effects = await database.effects()
        if all(wanted <= set(effects.get(str(c), ())) for c in customers):
            break
        await asyncio.sleep(0.05)
    stop.set()
    await asyncio.gather(*working)
    assert all(wanted <= set(effects[str(c)]) for c in customers)
    assert all(numbers == sorted(set(numbers)) for numbers in effects.values())
    await relay.close()
    await bus.close()
    await database.engine.dispose()
    assert await server.clients() == {}
