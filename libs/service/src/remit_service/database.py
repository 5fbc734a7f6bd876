"""The service's own PostgreSQL: an engine, and one transaction at a time at the edge."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from remit_events.driver import Connection
from remit_events.session import READING, Session, transaction

# How many prepared statements a connection keeps; a service has about a hundred.
STATEMENTS = 500


class Database:
    """An engine with its pool; `wakes` are called after a commit that emitted events.

    Connections above `pool_size`, up to `overflow` of them, are closed as soon as they are not needed: opening one anew
    and planning its statements costs the server as much as tens of requests, so what was needed once is kept.
    `statement_timeout` is in seconds and ends a statement on the server. Errors never show bound values.
    """

    def __init__(
        self, url: str, *, name: str = "remit", pool_size: int = 30, overflow: int = 0, statement_timeout: float = 30.0
    ) -> None:
        self.url = url
        self.wakes: list[Callable[[], None]] = []
        self.engine: AsyncEngine = create_async_engine(
            url,
            isolation_level="AUTOCOMMIT",  # sessions begin and end their transactions themselves
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
                "connection_class": Connection,
                "statement_cache_size": STATEMENTS,
                "server_settings": {
                    "application_name": name,
                    "statement_timeout": str(round(statement_timeout * 1000)),
                    "idle_in_transaction_session_timeout": "60000",
                    "timezone": "UTC",
                    # Values come as arrays, whose plans do not hang on what is in them: planned once per connection.
                    "plan_cache_mode": "force_generic_plan",
                    # That may be while the tables are still empty: by index and row by row, whatever they hold then.
                    "enable_seqscan": "off",
                    "random_page_cost": "1.1",
                },
            },
        )

    def transaction(self) -> AbstractAsyncContextManager[Session]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        return transaction(self.engine, wakes=self.wakes)

    def reading(self) -> AbstractAsyncContextManager[Session]:
        """One read-only snapshot; `await session.rollback()` in it gives the connection back while waiting."""
        return transaction(self.engine, READING)

    def single(self) -> AbstractAsyncContextManager[Session]:
        """No transaction: every statement stands by itself, which saves one its BEGIN and COMMIT."""
        return transaction(self.engine, None)

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
