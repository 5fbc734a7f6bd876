"""The databases of an installation, for commands that work on them: joins its server, or starts it meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from remit_local.errors import RefusedError
from remit_local.home import SERVICES, Addresses, Home
from remit_local.installation import Installation, database_of
from remit_local.postgres import EmbeddedPostgres
from remit_local.running import installed
from remit_service.database import Database


@contextmanager
def server_of(folder: Path) -> Iterator[tuple[Home, EmbeddedPostgres]]:
    """The data folder and its server; raises RefusedError when nothing was ever run there."""
    home = Home(folder)
    if not (home.postgres / "PG_VERSION").exists():
        raise RefusedError(
            f"there is no installation in {home.folder}: start Remit first (`remit run`), or give --data"
        )
    with joined(home) as server:
        yield home, server


@contextmanager
def joined(home: Home) -> Iterator[EmbeddedPostgres]:
    """The folder's server; one that was started for this is stopped again."""
    server = EmbeddedPostgres(home.postgres)
    theirs = server.is_running()
    server.start()
    try:
        yield server
    finally:
        if not theirs:
            server.stop()


async def installation_of(home: Home, server: EmbeddedPostgres) -> Installation:
    return await installed(Addresses.from_environment(), home, server)


@asynccontextmanager
async def database(server: EmbeddedPostgres, service: str) -> AsyncIterator[Database]:
    """One service's database; raises RefusedError for a service there is not."""
    if service not in SERVICES:
        raise RefusedError(f"{service}: the services are {', '.join(SERVICES)}")
    opened = Database(server.url(database_of(service)), name="remit", pool_size=2, overflow=20)
    try:
        yield opened
    finally:
        await opened.close()
