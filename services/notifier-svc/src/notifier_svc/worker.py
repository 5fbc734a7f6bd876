"""Which process has a delivery in `sending`, and whether it still lives.

A worker holds an advisory lock on a connection of its own as long as it lives; when the process dies the server lets
the lock go at once. So a crash is known without clocks, heartbeats or waiting.
"""

from __future__ import annotations

import secrets

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

NAMESPACE = 0x52454D49  # "REMI": our own among PostgreSQL's two-number advisory locks

# The numbers of all workers that live now, for use in a statement.
LIVING = f"""(
    SELECT CAST(objid AS bigint) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
    AND CAST(classid AS bigint) = {NAMESPACE}
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)"""  # noqa: S608  # a constant


class Worker:
    """One process's identity, as long as its lock holds; `id` fits PostgreSQL's int."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.id = secrets.randbelow(2**31)
        self._engine = engine
        self._connection: AsyncConnection | None = None

    async def alive(self) -> None:
        """Takes the lock; again when its connection was lost, and under another number: what was marked by the one
        before may be nobody's, as a database that goes away can commit without saying so. To be called before
        anything is marked sending.
        """
        if self._connection is not None:
            return
        self.id = secrets.randbelow(2**31)
        connection = await self._engine.connect()
        try:
            await connection.execute(text("SELECT pg_advisory_lock(:space, :id)"), {"space": NAMESPACE, "id": self.id})
        except BaseException:
            await connection.invalidate()
            await connection.close()
            raise
        self._connection = connection

    async def check(self) -> None:
        """Lets go of a connection that was lost, so that `alive` takes the lock on a new one."""
        if self._connection is None:
            return
        try:
            await self._connection.execute(text("SELECT 1"))
        except Exception:
            await self.close()

    async def close(self) -> None:
        """Ends the connection, and with it the lock; back in the pool it would keep it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.invalidate()
            await connection.close()
