"""The service's own PostgreSQL: an engine, and one transaction at a time at the edge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine


class Database:
    """An engine with its pool; `wakes` are called after a commit that emitted events.

    `statement_timeout` is in seconds and ends a statement on the server. Errors never show bound values.
    """

    def __init__(
        self, url: str, *, name: str = "remit", pool_size: int = 10, overflow: int = 20, statement_timeout: float = 30.0
    ) -> None:
        self.url = url
        self.wakes: list[Callable[[], None]] = []
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=overflow,
            pool_timeout=10,
            pool_pre_ping=False,
            pool_recycle=1800,
            hide_parameters=True,
            json_serializer=_dumps,
            json_deserializer=from_json,
            connect_args={
                "timeout": 5,
                "server_settings": {
                    "application_name": name,
                    "statement_timeout": str(round(statement_timeout * 1000)),
                    "idle_in_transaction_session_timeout": "60000",
                    "timezone": "UTC",
                },
            },
        )
        self._writing = async_sessionmaker(self.engine, expire_on_commit=False)
        # One snapshot for all statements of a read, and a write in it fails: a GET never changes anything.
        snapshot = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._reading = async_sessionmaker(snapshot, expire_on_commit=False, autoflush=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        async with self._writing() as session:
            async with session.begin():
                yield session
            if session.info.pop("emitted", False):
                self.wake()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """One read-only snapshot; `await session.rollback()` in it gives the connection back while waiting."""
        async with self._reading() as session:
            yield session

    def wake(self) -> None:
        """Tells whoever publishes that there is something to publish."""
        for call in self.wakes:
            call()

    async def ping(self) -> None:
        """Raises when the database does not answer."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self.engine.dispose()


def _dumps(value: Any) -> str:
    return to_json(value).decode()
