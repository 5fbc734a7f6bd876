"""Worlds of escalation-svc: one fixture per way of giving approvals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from remit_testing.escalation_world import DUE, START, World
from remit_testing.service import client_for, make_service_database, make_settings

from escalation_svc.app import build
from escalation_svc.settings import Settings
from remit_events.bus import open_bus
from remit_service.clock import SimulatedClock

Answer = Callable[[httpx.Request], httpx.Response]


class Notifier:
    """notifier-svc's templates, as far as the preview asks for them."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.answer: Answer = lambda _: httpx.Response(200, json={"subject": "Formal demand", "text": "Pay."})

    def client(self, name: str) -> httpx.AsyncClient:
        assert name == "notifier-svc"

        def handle(request: httpx.Request) -> httpx.Response:
            self.asked.append(request)
            return self.answer(request)

        return httpx.AsyncClient(transport=httpx.MockTransport(handle), base_url="http://notifier-svc")


@asynccontextmanager
async def opened(make_database: Any, notifier: Notifier, **settings: Any) -> AsyncIterator[World]:
    url = await make_service_database(make_database, "escalation_svc")
    bus = open_bus(url)
    await bus.ensure_topics()
    clock = SimulatedClock(START)
    given = make_settings(Settings, url, **{"rungs_settle_seconds": 0, **settings})
    service = await build(given, clock=clock, bus=bus, http=notifier.client)
    await service.start()
    try:
        async with await client_for(service) as client:
            yield World(service, clock, bus, client, client.seller)
    finally:
        await service.stop()
        await bus.close()


@pytest.fixture
def notifier() -> Notifier:
    return Notifier()


@pytest.fixture
async def world(make_database: Any, notifier: Notifier) -> AsyncIterator[World]:
    """Approvals are asked for."""
    async with opened(make_database, notifier) as made:
        yield made


@pytest.fixture
async def auto_world(make_database: Any, notifier: Notifier) -> AsyncIterator[World]:
    """Approvals are given at once, as in a simulation."""
    async with opened(make_database, notifier, approve="auto") as made:
        yield made


@pytest.fixture
async def never_world(make_database: Any, notifier: Notifier) -> AsyncIterator[World]:
    async with opened(make_database, notifier, approve="never") as made:
        yield made


@pytest.fixture
def day() -> Callable[[int], date]:
    """The local date so many days after the due date."""
    return lambda offset: DUE + timedelta(days=offset)
