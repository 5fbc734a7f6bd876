"""One throwaway PostgreSQL per test process, and fresh databases on it."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from hypothesis import settings

from remit_local.postgres import EmbeddedPostgres

pytest_plugins = (
    "remit_testing.delivery",
    "remit_testing.figures",
    "remit_testing.kafka",
    "remit_testing.own_postgres",
    "remit_testing.rounds",
)

# How long an example takes says more about the machine than about Remit: no test is timed.
settings.register_profile("remit", deadline=None)
settings.load_profile("remit")
# Commands print as wide whoever runs the tests, in a terminal or none.
os.environ["COLUMNS"] = "160"

_numbers = itertools.count(1)
ROOM_BYTES = 16_000_000_000

MakeDatabase = Callable[[], Awaitable[str]]


@pytest.fixture(scope="session", autouse=True)
def open_temporary_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """PostgreSQL started by root runs as another user, whom pytest's own folders keep out."""
    base = tmp_path_factory.getbasetemp()
    for folder in (base, *base.parents):
        if folder.is_relative_to(tempfile.gettempdir()) and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)


@pytest.fixture(scope="session")
def cluster() -> Iterator[EmbeddedPostgres]:
    """A running PostgreSQL without durability, dropped with the test process."""
    with tempfile.TemporaryDirectory(prefix="remit-pg-", dir=_in_memory(), ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder) / "data", durable=False) as server:
            asyncio.run(_leave_alone(server))
            yield server


def _in_memory() -> str | None:
    """Where there is room for hundreds of databases of 8 MB: they come and go three times as fast as on a disk."""
    there = Path("/dev/shm").is_dir() and shutil.disk_usage("/dev/shm").free > ROOM_BYTES  # noqa: S108
    return "/dev/shm" if there else None  # noqa: S108


async def _leave_alone(server: EmbeddedPostgres) -> None:
    """No vacuum: going round hundreds of small databases takes more than it can ever give."""
    connection = await asyncpg.connect(server.url("postgres").replace("+asyncpg", ""))
    await connection.execute("ALTER SYSTEM SET autovacuum = off")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


@pytest.fixture(scope="session")
def make_database(cluster: EmbeddedPostgres) -> MakeDatabase:
    """Creates an empty database and gives its SQLAlchemy URL."""

    async def make() -> str:
        name = f"test_{next(_numbers)}"
        await cluster.create_databases(name)
        return cluster.url(name)

    return make


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder every user may enter, as PostgreSQL started by root runs as another one; pytest's are closed."""
    with tempfile.TemporaryDirectory(prefix="remit-e2e-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
