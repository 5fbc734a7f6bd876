"""One scheduler-svc for all tests; each has a world of its own: empty tables, a new seller, the clock set back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from remit_testing.scheduler_world import START, World
from remit_testing.service import client_for, make_service_database, make_settings
from sqlalchemy import text

from remit_events.bus import open_bus
from remit_service.clock import SimulatedClock
from remit_service.service import Service
from scheduler_svc import tables as t
from scheduler_svc.app import build
from scheduler_svc.settings import Settings
from scheduler_svc.sweep import Sweep

EMPTIED = (*(table.name for table in t.metadata.tables.values()), "outbox", "inbox", "dead_letter", "idempotency")


@pytest.fixture(scope="session")
async def scheduler(make_database: Any) -> AsyncIterator[Service]:
    url = await make_service_database(make_database, "scheduler_svc")
    bus = open_bus(url)
    await bus.ensure_topics()
    service = await build(make_settings(Settings, url), clock=SimulatedClock(START), bus=bus)
    await service.start()
    yield service
    await service.stop()
    await bus.close()


@pytest.fixture
async def world(scheduler: Service) -> AsyncIterator[World]:
    clock = scheduler.clock
    assert isinstance(clock, SimulatedClock)
    clock.__init__(START)  # type: ignore[misc]  # back to the beginning, which a clock in use never goes
    async with scheduler.db.transaction() as session:
        for name in EMPTIED:
            await session.execute(text(f'DELETE FROM "{name}"'))  # noqa: S608  # our own tables
    for task in scheduler.tasks:
        if isinstance(task, Sweep):
            task.changed()
    async with await client_for(scheduler) as client:
        made = World(scheduler, clock, scheduler.bus, client, client.seller)
        await made.seller_appears()
        yield made
