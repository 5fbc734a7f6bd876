"""scheduler-svc by itself, emptied for one world after another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text

from remit_events.bus import open_bus
from remit_service.clock import SimulatedClock
from remit_service.service import Service
from remit_testing.fixtures import MakeDatabase
from remit_testing.scheduler_world import START, World
from remit_testing.service import client_for, make_service_database, make_settings
from scheduler_svc import tables as t
from scheduler_svc.app import build
from scheduler_svc.settings import Settings
from scheduler_svc.sweep import Sweep

EMPTIED = (*(table.name for table in t.metadata.tables.values()), "outbox", "inbox", "dead_letter", "idempotency")


@asynccontextmanager
async def scheduler(make_database: MakeDatabase) -> AsyncIterator[Service]:
    url = await make_service_database(make_database, "scheduler_svc")
    bus = open_bus(url)
    await bus.ensure_topics()
    made = await build(make_settings(Settings, url), clock=SimulatedClock(START), bus=bus)
    await made.start()
    yield made
    await made.stop()
    await bus.close()


async def fresh(service: Service) -> World:
    """Empty tables, the clock set back, a new seller."""
    clock = service.clock
    assert isinstance(clock, SimulatedClock)
    vars(clock)["_now"] = START  # which a clock in use never goes
    async with service.db.transaction() as session:
        for name in EMPTIED:
            await session.execute(text(f'DELETE FROM "{name}"'))  # noqa: S608  # our own tables
    for task in service.tasks:
        if isinstance(task, Sweep):
            task.changed()
    client = await client_for(service)
    world = World(service, clock, service.bus, client, client.seller)
    await world.seller_appears()
    return world
