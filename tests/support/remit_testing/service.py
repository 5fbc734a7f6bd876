"""What a service's tests need beside a database: a migrated one, settings, a seller with a key, a client.

    @pytest_asyncio.fixture(loop_scope="session", scope="session")
    async def service(make_database):
        url = await make_service_database(make_database, "invoice_svc")
        bus = open_bus(await make_database())                  # the real bus, on PostgreSQL
        settings = make_settings(Settings, url)
        service = await build(settings, clock=SimulatedClock(datetime(2026, 3, 2, 9, tzinfo=UTC)), bus=bus)
        await service.start()
        yield service
        await service.stop()
        await bus.close()

    async def test_it(service):
        async with await client_for(service) as client:        # a new seller with a key of every scope
            assert (await client.get("/v1/invoices")).status_code == 200
            client.seller.id, client.key                       # whose data it is, and the key itself

Databases are copied from one migrated template per package, so a fresh one per test costs about 50 ms.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import httpx
from uuid6 import uuid7

from remit_events.state import ApiKeyState, SellerState
from remit_service.auth import new_key
from remit_service.database import Database
from remit_service.migrations import migrations_of, upgrade
from remit_service.sellers import save_seller
from remit_service.service import Service
from remit_service.settings import ServiceSettings
from remit_testing.fixtures import MakeDatabase

SERVICE_KEY = "a-service-key-for-tests-only"

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)
_templates: dict[tuple[MakeDatabase, Path], str] = {}
_copies = itertools.count(1)


async def make_service_database(make_database: MakeDatabase, package: str | Path) -> str:
    """The URL of a fresh database at the head of a package's migrations (its name, or the folder itself)."""
    folder = package if isinstance(package, Path) else migrations_of(package)
    template = _templates.get((make_database, folder))
    if template is None:
        template = await make_database()
        await upgrade(template, folder)
        _templates[(make_database, folder)] = template
    return await copy_database(template)


async def copy_database(template: str) -> str:
    """A copy of a database nobody is connected to."""
    path, query = template.split("?", 1)
    base, source = path.rsplit("/", 1)
    copy = f"{source}_copy_{next(_copies)}"
    connection = await asyncpg.connect(f"{base}/postgres?{query}".replace("+asyncpg", ""))
    try:
        await connection.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{source}"')
    finally:
        await connection.close()
    return f"{base}/{copy}?{query}"


def make_settings(kind: type[SettingsT], database_url: str, events_url: str | None = None, **given: Any) -> SettingsT:
    """Settings of a service as its tests want them; the environment has no say in what is named here."""
    values: dict[str, Any] = {
        "database_url": database_url,
        "events_url": events_url or database_url,
        "service_key": SERVICE_KEY,
        "host": "127.0.0.1",
        "port": 0,
    }
    return kind(**(values | given))


class SellerClient(httpx.AsyncClient):
    """A client of one app that carries a seller's key."""

    seller: SellerState
    key: str


async def client_for(
    service: Service, *, scopes: tuple[str, ...] = ("*",), seller: SellerState | None = None, **transport: Any
) -> SellerClient:
    """A client with a key of a new seller; with `seller` a new key is added to that one (its version rises)."""
    key, sha256 = new_key()
    base = seller or SellerState(id=uuid7(), name="Nordlicht GmbH", version=0, sender_email="billing@nordlicht.example")
    added = ApiKeyState(id=uuid7(), name="test", sha256=sha256, scopes=scopes)
    state = base.model_copy(update={"keys": (*base.keys, added), "version": base.version + 1})
    async with service.db.transaction() as session:
        await save_seller(session, state)
    client = SellerClient(
        transport=httpx.ASGITransport(service.app, **transport),
        base_url="http://remit.test",
        headers={"Authorization": f"Bearer {key}"},
        timeout=30,
    )
    client.seller, client.key = state, key
    return client


def internal_client(service: Service, seller_id: UUID | None = None) -> httpx.AsyncClient:
    """A client with the shared service key, acting for `seller_id` when given."""
    headers = {"Authorization": f"Bearer {service.settings.service_key.get_secret_value()}"}
    if seller_id is not None:
        headers["Remit-Seller"] = str(seller_id)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(service.app), base_url="http://remit.test", headers=headers, timeout=30
    )


class RolledBack(Exception):  # noqa: N818
    """Ends a test's transaction; see `rollback`."""


def rollback(db: Database) -> Callable[[], AbstractAsyncContextManager[Any]]:
    """`async with rollback(db)() as session:` gives a session whose work is undone when the block ends."""
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def opened() -> Any:
        try:
            async with db.transaction() as session:
                yield session
                raise RolledBack
        except RolledBack:
            return

    return opened
