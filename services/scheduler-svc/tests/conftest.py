"""One world of scheduler-svc per test: a migrated database of its own, a bus, a seller with a key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from remit_testing.scheduler_world import START, World
from remit_testing.service import client_for, make_service_database, make_settings

from remit_events.bus import open_bus
from remit_service.clock import SimulatedClock
from scheduler_svc.app import build
from scheduler_svc.settings import Settings


@pytest.fixture
async def world(make_database: Any) -> AsyncIterator[World]:
    url = await make_service_database(make_database, "scheduler_svc")
    bus = open_bus(url)
    await bus.ensure_topics()
    clock = SimulatedClock(START)
    service = await build(make_settings(Settings, url), clock=clock, bus=bus)
    await service.start()
    try:
        async with await client_for(service) as client:
            made = World(service, clock, bus, client, client.seller)
            await made.seller_appears()
            yield made
    finally:
        await service.stop()
        await bus.close()
