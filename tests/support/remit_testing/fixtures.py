"""One throwaway PostgreSQL per test process, and fresh databases on it."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from remit_local.postgres import EmbeddedPostgres

pytest_plugins = ("remit_testing.delivery", "remit_testing.kafka")

_numbers = itertools.count(1)

MakeDatabase = Callable[[], Awaitable[str]]


@pytest.fixture(scope="session")
def cluster() -> Iterator[EmbeddedPostgres]:
    """A running PostgreSQL without durability, dropped with the test process."""
    with tempfile.TemporaryDirectory(prefix="remit-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder) / "data", durable=False) as server:
            yield server


@pytest.fixture(scope="session")
def make_database(cluster: EmbeddedPostgres) -> MakeDatabase:
    """Creates an empty database and gives its SQLAlchemy URL."""

    async def make() -> str:
        name = f"test_{next(_numbers)}"
        await cluster.create_databases(name)
        return cluster.url(name)

    return make
