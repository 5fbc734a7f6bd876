"""What the four databases of an installation hold, read past the services, and whether anything is on its way."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import TracebackType
from typing import Any
from uuid import UUID

import asyncpg

from remit_events.bus import open_bus
from remit_local.home import SERVICES
from remit_local.installation import Installation

# Every consumer group and where its topics are named.
GROUPS = {
    "invoice-svc.timeline": "invoice_svc.handlers",
    "scheduler-svc": "scheduler_svc.app",
    "notifier-svc": "notifier_svc.app",
    "escalation-svc": "escalation_svc.app",
}

ON_ITS_WAY = {
    **{f"{name}: unpublished events": (name, "outbox WHERE published_at IS NULL") for name in SERVICES},
    **{f"{name}: dead letters": (name, "dead_letter WHERE resolved_at IS NULL") for name in SERVICES},
    "deliveries": ("notifier-svc", "delivery WHERE status IN ('pending', 'sending')"),
    "touches waiting": ("notifier-svc", "touch WHERE waiting"),
}


@dataclass(frozen=True, slots=True)
class Told:
    """An event as it stands in the outbox of the service that emitted it."""

    event_id: UUID
    service: str
    type: str
    data: dict[str, Any]


class Stores:
    """Read-only connections to the databases and the bus; an async context manager."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._connections: dict[str, asyncpg.Connection] = {}

    async def __aenter__(self) -> Stores:
        for name, url in self._installation.databases.items():
            self._connections[name] = await asyncpg.connect(url.replace("+asyncpg", ""))
        self._bus = open_bus(self._installation.events_url, prefix=self._installation.topic_prefix)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for connection in self._connections.values():
            await connection.close()
        await self._bus.close()

    async def rows(self, service: str, statement: str, *values: Any) -> Sequence[Any]:
        found: Sequence[Any] = await self._connections[service].fetch(statement, *values)
        return found

    async def told(self, *types: str) -> list[Told]:
        """Every event of all four services, in the order of each outbox; only those of the classes named."""
        found = []
        for name in SERVICES:
            rows = await self.rows(name, "SELECT event_id, type, payload FROM outbox ORDER BY id")
            found += [Told(row["event_id"], name, row["type"], json.loads(row["payload"])) for row in rows]
        wanted = {import_module("remit_events.catalogue").EVENT_TYPES[one.type].__name__: one.type for one in found}
        kept = {wanted[kind] for kind in types if kind in wanted}
        return [one for one in found if not types or one.type in kept]

    async def on_its_way(self) -> dict[str, int]:
        """What is not settled, by place; empty when all is."""
        left = {}
        for place, (service, where) in ON_ITS_WAY.items():
            left[place] = (await self.rows(service, f"SELECT count(*) AS n FROM {where}"))[0]["n"]  # noqa: S608
        for group, module in GROUPS.items():
            left[f"{group}: lag"] = await self._bus.lag(group, import_module(module).TOPICS)
        return {place: count for place, count in left.items() if count}

    async def settled(self, seconds: float) -> None:
        """Returns when nothing has been on its way for a second; fails with what is left after `seconds`."""
        give_up, quiet = time.monotonic() + seconds, 0
        left: dict[str, int] = {}
        while quiet < 3:
            left = await self.on_its_way()
            quiet = 0 if left else quiet + 1
            assert time.monotonic() < give_up, f"not settled after {seconds:.0f} s: {left}"
            await asyncio.sleep(0.4)
