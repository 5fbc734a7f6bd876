"""One service for all tests, a seller of its own for each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from remit_testing.fixtures import MakeDatabase
from remit_testing.service import SellerClient, client_for, make_service_database, make_settings
from sqlalchemy import text

from invoice_svc.app import build
from invoice_svc.settings import Settings
from remit_events.bus import open_bus
from remit_events.catalogue import EVENT_TYPES
from remit_events.envelope import Event
from remit_service.clock import SimulatedClock
from remit_service.service import Service

# A Monday, 10:00 in Berlin.
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass
class World:
    """A service, a seller's client, and what was said about their things."""

    service: Service
    client: SellerClient
    seen: int = 0
    numbers: Any = field(default_factory=lambda: iter(range(1, 10_000)))

    @property
    def clock(self) -> SimulatedClock:
        clock = self.service.clock
        assert isinstance(clock, SimulatedClock)
        return clock

    async def post(self, path: str, body: Any = None, status: int = 201, **given: Any) -> Any:
        answer = await self.client.post(path, json=body, **given)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def get(self, path: str, expected: int = 200, **params: Any) -> Any:
        answer = await self.client.get(path, params=params or None)
        assert answer.status_code == expected, answer.text
        return answer.json()

    async def customer(self, **given: Any) -> Any:
        number = next(self.numbers)
        body = {"external_id": f"C-{number}", "name": f"Customer {number}", "country": "DE", "profile": "business"}
        return await self.post("/v1/customers", body | given)

    async def invoice(self, customer: Any = None, **given: Any) -> Any:
        owner = customer or await self.customer()
        body = {
            "customer_id": owner["id"],
            "issue_date": "2026-03-02",
            "due_date": "2026-04-01",
            "amount_minor": 10_000,
            "currency": "EUR",
        }
        return await self.post("/v1/invoices", body | given)

    async def pay(self, invoice: Any, amount: int, status: int = 201, **given: Any) -> Any:
        reference = f"ref-{next(self.numbers)}"
        body = {"invoice_id": invoice["id"], "amount_minor": amount, "currency": "EUR", "reference": reference}
        return await self.post("/v1/payments", body | given, status)

    async def read(self, invoice: Any) -> Any:
        return await self.get(f"/v1/invoices/{invoice['id']}")

    async def events(self) -> list[Event]:
        """What was emitted for this seller since the last call, in the order of the outbox."""
        sql = "SELECT id, type, payload FROM outbox WHERE id > :seen AND strpos(payload, :seller) > 0 ORDER BY id"
        async with self.service.db.reading() as session:
            rows = (await session.execute(text(sql), {"seen": self.seen, "seller": str(self.client.seller.id)})).all()
        self.seen = max([self.seen, *(row.id for row in rows)])
        return [EVENT_TYPES[row.type].model_validate_json(row.payload) for row in rows]

    async def event_names(self) -> list[str]:
        return [type(event).__name__ for event in await self.events()]


async def _service(make_database: MakeDatabase, start: datetime = START) -> AsyncIterator[Service]:
    url = await make_service_database(make_database, "invoice_svc")
    bus = open_bus(await make_database())
    await bus.ensure_topics()
    service = await build(make_settings(Settings, url), clock=SimulatedClock(start), bus=bus)
    await service.start()
    yield service
    await service.stop()
    await bus.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service(make_database: MakeDatabase) -> AsyncIterator[Service]:
    """Shared by all tests; its clock stands still."""
    async for one in _service(make_database):
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def own_service(make_database: MakeDatabase) -> AsyncIterator[Service]:
    """For one test alone, so that it may move the clock."""
    async for one in _service(make_database):
        yield one


async def _world(service: Service) -> AsyncIterator[World]:
    async with await client_for(service) as client:
        yield World(service, client)


@pytest_asyncio.fixture(loop_scope="session")
async def world(service: Service) -> AsyncIterator[World]:
    async for one in _world(service):
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def own_world(own_service: Service) -> AsyncIterator[World]:
    async for one in _world(own_service):
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def stranger(service: Service) -> AsyncIterator[SellerClient]:
    """Another seller's client on the shared service."""
    async with await client_for(service) as client:
        yield client


@pytest.fixture
def start() -> datetime:
    return START
