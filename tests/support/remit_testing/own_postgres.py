"""A durable PostgreSQL of a test's own, which it may kill."""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from remit_local.postgres import EmbeddedPostgres

_numbers = itertools.count(1)


class OwnPostgres(EmbeddedPostgres):
    """May be stopped in any way and started again; its data stay."""

    async def make(self) -> str:
        """A fresh database: the `make_database` of this server."""
        name = f"own_{next(_numbers)}"
        await self.create_databases(name)
        return self.url(name)

    def stop_immediately(self) -> None:
        """As `pg_ctl stop -m immediate`: no checkpoint, no farewell."""
        pid_file = self.folder / "postmaster.pid"
        pid = int(pid_file.read_text().splitlines()[0])
        os.kill(pid, signal.SIGQUIT)
        deadline = time.monotonic() + 10
        while pid_file.exists() and time.monotonic() < deadline:
            time.sleep(0.02)

    async def clients(self) -> dict[str, int]:
        """Connections by `application_name: state`, besides the one that asks."""
        connection = await asyncpg.connect(self.url("postgres").replace("+asyncpg", ""))
        try:
            rows = await connection.fetch(
                "SELECT application_name || ': ' || coalesce(state, '') AS who, count(*) AS n FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() GROUP BY 1"
            )
        finally:
            await connection.close()
        return {row["who"]: row["n"] for row in rows}


@pytest.fixture
def own_postgres() -> Iterator[OwnPostgres]:
    with tempfile.TemporaryDirectory(prefix="remit-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = OwnPostgres(Path(folder) / "data")
        with server:
            yield server
