"""invoice-svc by itself, asked from the thread in which a state machine runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from invoice_svc.app import build
from invoice_svc.settings import Settings
from remit_events.bus import open_bus
from remit_events.catalogue import EVENT_TYPES
from remit_service.clock import SimulatedClock
from remit_service.service import Service
from remit_testing.fixtures import MakeDatabase
from remit_testing.service import SellerClient, client_for, make_service_database, make_settings
from remit_testing.threads import Ask

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
EXPIRING = ("promise-expiry", "hold-expiry")


@asynccontextmanager
async def invoicing(make_database: MakeDatabase) -> AsyncIterator[Service]:
    url = await make_service_database(make_database, "invoice_svc")
    bus = open_bus(await make_database())
    await bus.ensure_topics()
    made = await build(make_settings(Settings, url), clock=SimulatedClock(START), bus=bus)
    await made.start()
    yield made
    await made.stop()
    await bus.close()


class World:
    """A seller of their own after each `begin`; `played` counts what was done."""

    def __init__(self, service: Service, ask: Ask, played: Counter[str]) -> None:
        self.service, self._ask, self.played = service, ask, played
        self._client: SellerClient | None = None

    @property
    def now(self) -> datetime:
        return self.service.clock.now()

    @property
    def today(self) -> date:
        return self.now.astimezone(BERLIN).date()

    def begin(self) -> None:
        self._client = self._ask(client_for(self.service))

    def end(self) -> None:
        assert self._client
        self._ask(self._client.aclose())

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        assert self._client
        answer = self._ask(self._client.request(method, path, json=body))
        assert answer.status_code < 500, answer.text
        return answer.status_code, answer.json()

    def get(self, path: str) -> Any:
        status, said = self.send("GET", path)
        assert status == 200, said
        return said

    def pass_days(self, days: int) -> None:
        clock = self.service.clock
        assert isinstance(clock, SimulatedClock)
        clock.set(clock.now() + timedelta(days=days))
        for task in self.service.tasks:
            if task.name in EXPIRING:
                self._ask(task.run())

    def told(self) -> list[Any]:
        return list(self._ask(self._told()))

    async def _told(self) -> list[Any]:
        assert self._client
        sql = "SELECT type, payload FROM outbox WHERE strpos(payload, :seller) > 0 ORDER BY id"
        async with self.service.db.reading() as session:
            rows = (await session.execute(text(sql), {"seller": str(self._client.seller.id)})).all()
        return [EVENT_TYPES[row.type].model_validate_json(row.payload) for row in rows]
