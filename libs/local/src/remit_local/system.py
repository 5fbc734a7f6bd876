"""The four services built in this process, on one clock and one bus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from importlib import import_module
from types import TracebackType

import httpx
from alembic.util.exc import CommandError
from sqlalchemy import text
from starlette.types import ASGIApp, Receive, Scope, Send

from remit_events.bus import Bus, BusError, open_bus
from remit_events.consumer import Consumer
from remit_events.failures import StuckError
from remit_events.relay import Relay
from remit_local.errors import RefusedError
from remit_local.home import SERVICES
from remit_local.installation import EVENTS_DATABASE, LOCAL_DATABASE, Installation, database_of, package_of
from remit_local.postgres import EmbeddedPostgres
from remit_service.clock import Clock
from remit_service.migrations import run_migrations
from remit_service.peers import InProcessTransport, peer_client
from remit_service.service import Service, Task

UNPUBLISHED = text("SELECT count(*) FROM outbox WHERE published_at IS NULL")
PUT_ASIDE = text("SELECT count(*) FROM dead_letter WHERE resolved_at IS NULL")


async def prepare(installation: Installation, server: EmbeddedPostgres) -> None:
    """Databases, tables and topics as they must be. Raises RefusedError when the bus does not answer."""
    await server.create_databases(*(database_of(service) for service in SERVICES), EVENTS_DATABASE, LOCAL_DATABASE)
    await migrate(installation)
    await ensure_topics(installation)


async def migrate(installation: Installation) -> None:
    """Every service's database to head; one after the other, as Alembic's context is one per process.

    Raises RefusedError for a database of another release.
    """
    for service in SERVICES:
        try:
            await run_migrations(installation.databases[service], package_of(service))
        except CommandError as error:
            raise RefusedError(
                f"the database of {service} was made by another release of Remit ({error}): "
                "run that release, or choose another data folder with --data or REMIT_DATA"
            ) from None


async def ensure_topics(installation: Installation) -> None:
    bus = bus_at(installation.events_url, installation.topic_prefix)
    try:
        await bus.ensure_topics()
    except BusError as error:
        raise RefusedError(no_bus(installation.events_url, error)) from None
    finally:
        await bus.close()


def bus_at(url: str, prefix: str = "") -> Bus:
    """Raises RefusedError for a URL that is no bus's."""
    try:
        return open_bus(url, prefix=prefix)
    except ValueError as error:
        raise RefusedError(str(error)) from None


def no_bus(url: str, error: Exception) -> str:
    where = url.partition("://")[2].partition("?")[0]
    start = "start it (`make kafka`) or leave EVENTS_URL out" if url.startswith("kafka") else "is its server running?"
    return f"EVENTS_URL: the event bus at {where} does not answer: {start} ({error})"


class System:
    """Four services that share `bus` and `clock`; used as an async context manager, which starts and stops them."""

    def __init__(self, installation: Installation, clock: Clock, bus: Bus) -> None:
        self.installation = installation
        self.clock = clock
        self.bus = bus
        self.services: dict[str, Service] = {}

    @classmethod
    async def build(cls, installation: Installation, clock: Clock, *, in_process: bool) -> System:
        """Builds all four. With `in_process` they call each other without a network, as a time-lapse does."""
        bus = open_bus(installation.events_url, prefix=installation.topic_prefix)
        system = cls(installation, clock, bus)
        for name in SERVICES:
            build = import_module(f"{package_of(name)}.app").build
            http = system._peers(name) if in_process else None
            system.services[name] = await build(installation.settings(name), clock=clock, bus=bus, http=http)
        return system

    async def __aenter__(self) -> System:
        for service in self.services.values():
            await service.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Gives back what was opened; also for a system that was only looked at."""
        for service in reversed(self.services.values()):
            await service.stop()
        await self.bus.close()

    @property
    def tasks(self) -> list[Task]:
        return [task for service in self.services.values() for task in service.tasks]

    def client(self, name: str, headers: dict[str, str]) -> httpx.AsyncClient:
        """A client of one service in this process."""
        return httpx.AsyncClient(
            transport=InProcessTransport(self._app(name)), base_url=f"http://{name}", headers=headers, timeout=120
        )

    async def run(self, stop: asyncio.Event) -> None:
        """The background loops of all four until `stop`, then their drain; raises RefusedError when one is stuck."""
        try:
            await asyncio.gather(*(service.run(stop) for service in self.services.values()))
        except StuckError as error:
            raise RefusedError(f"{error}: start Remit again") from error

    async def pass_on(self) -> None:
        """Publishes and consumes until no event is on its way; for a system whose loops do not run."""
        carriers = [task for task in self.tasks if isinstance(task, Relay | Consumer)]
        while sum([await task.run() for task in carriers]):
            pass

    async def unsettled(self) -> dict[str, int]:
        """What is still on its way or stuck, by place: unpublished events, records not yet consumed, dead letters."""
        left: dict[str, int] = {}
        for name, service in self.services.items():
            async with service.db.reading() as session:
                left[f"{name} outbox"] = int(await session.scalar(UNPUBLISHED) or 0)
                left[f"{name} dead letters"] = int(await session.scalar(PUT_ASIDE) or 0)
        for consumer in self.consumers():
            left[consumer.name] = await self.bus.lag(consumer.name, consumer.topics)
        return {place: count for place, count in left.items() if count}

    async def due(self) -> dict[str, datetime]:
        """The tasks that have something to do by the clock, and since when."""
        now = self.clock.now()
        moments = {task.name: await task.next_at() for task in self.tasks}
        return {name: at for name, at in moments.items() if at is not None and at <= now}

    def consumers(self) -> Iterable[Consumer]:
        return (task for task in self.tasks if isinstance(task, Consumer))

    def _peers(self, caller: str) -> Callable[[str], httpx.AsyncClient]:
        settings = self.installation.settings(caller)

        def peer(name: str) -> httpx.AsyncClient:
            return peer_client(name, f"http://{name}", settings, transport=InProcessTransport(self._app(name)))

        return peer

    def _app(self, name: str) -> ASGIApp:
        """The app of a service, found when it is called: the four are built one after the other."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self.services[name].app(scope, receive, send)

        return app
