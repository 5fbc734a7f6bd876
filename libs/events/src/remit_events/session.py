"""One transaction of a service. SQLAlchemy pools connections, compiles expressions and numbers the parameters of text;
text then goes to asyncpg as it stands, which takes a fifth of the time its way through SQLAlchemy does: an event's
road is some seventy small statements, and that is most of what they cost.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import asyncpg
from sqlalchemy import Executable, TextClause
from sqlalchemy.dialects.postgresql import asyncpg as dialect
from sqlalchemy.engine.result import IteratorResult, Result, ScalarResult, SimpleResultMetaData
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from remit_events.driver import Connection
from remit_events.tracing import recording, statement_failed, statement_span

WRITING = "BEGIN"
# One snapshot for all statements of a read, and a write in it fails: a GET never changes anything.
READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

# From so many rows on COPY, which is parsed anew each time, is cheaper than INSERT, which is planned once.
WORTH_COPYING = 50

Values = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None

_DIALECT = dialect.dialect()  # type: ignore[no-untyped-call]
_NUMBERED: WeakKeyDictionary[TextClause, tuple[str, tuple[str, ...]]] = WeakKeyDictionary()


class RolledBackError(Exception):
    """A commit found its transaction aborted: a statement had failed, and its error was passed over."""


class Row(asyncpg.Record):  # type: ignore[misc]  # asyncpg has no types
    """A row whose columns are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Session:
    """A transaction on a connection of its own, begun by its first statement; without `begin` each stands by itself.

    The engine's isolation level is AUTOCOMMIT, for the session begins and ends its transactions itself. Errors of text
    are asyncpg's, those of expressions SQLAlchemy's around them. `after_commit` is called once it is committed, and
    `wakes` when `emitted` says that it left something to publish.
    """

    def __init__(
        self, engine: AsyncEngine, begin: str | None = WRITING, wakes: Sequence[Callable[[], None]] = ()
    ) -> None:
        self.after_commit: list[Callable[[], None]] = []
        self.emitted = False
        self._wakes = wakes
        self._engine = engine
        self._begin = begin
        self._connection: AsyncConnection | None = None
        self._driver: Any = None
        self._traced = False

    async def fetch(self, statement: TextClause, values: Mapping[str, Any]) -> list[Any]:
        """The rows of a statement in text, as the driver gives them."""
        if self._connection is None:
            await self._open()
        sql, names = _numbered(statement)
        span = statement_span(sql) if self._traced else None
        try:
            rows: list[Any] = await self._driver.fetch(sql, *[values[name] for name in names], record_class=Row)
        except BaseException as error:
            statement_failed(span, error)
            raise
        if span is not None:
            span.end()
        return rows

    async def copy(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Stores rows by COPY, as they come; for WORTH_COPYING of them and more."""
        if self._connection is None:
            await self._open()
        span = statement_span(f"COPY {table} FROM STDIN")
        try:
            await self._driver.copy_records_to_table(table, columns=columns, records=rows)
        except BaseException as error:
            statement_failed(span, error)
            raise
        if span is not None:
            span.end()

    async def execute(self, statement: Executable, values: Values = None) -> Result[*tuple[Any, ...]]:
        if isinstance(statement, TextClause) and (values is None or isinstance(values, Mapping)):
            return _result(await self.fetch(statement, values or {}))
        connection = self._connection or await self._open()
        return await connection.execute(statement, values)

    async def scalar(self, statement: Executable, values: Values = None) -> Any:
        """The first column of the first row, None without one."""
        return (await self.execute(statement, values)).scalar()

    async def scalars(self, statement: Executable, values: Values = None) -> ScalarResult[Any]:
        return (await self.execute(statement, values)).scalars()

    @asynccontextmanager
    async def undone(self) -> AsyncIterator[None]:
        """Takes back what the block does: to learn what would happen."""
        if self._connection is None:
            await self._open()
        before = self.emitted
        await self._driver.execute("SAVEPOINT undone")
        yield
        await self._driver.execute("ROLLBACK TO SAVEPOINT undone; RELEASE SAVEPOINT undone")
        self.emitted = before

    async def commit(self) -> None:
        """Raises RolledBackError when there is nothing left to commit."""
        if self._connection is not None:
            status = await self._driver.execute("COMMIT") if self._begin else "COMMIT"
            await self._release()
            if status != "COMMIT":
                raise RolledBackError("a statement of this transaction had failed: nothing of it was kept")
        for call in (*self.after_commit, *(self._wakes if self.emitted else ())):
            call()
        self.after_commit.clear()
        self.emitted = False

    async def rollback(self) -> None:
        """Undoes what was done and gives the connection back; the next statement begins anew."""
        if self._connection is None:
            return
        try:
            # A connection that is lost has rolled back by itself.
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                if self._driver.is_in_transaction():
                    await self._driver.execute("ROLLBACK", timeout=5)
        finally:
            await self._release()

    async def _open(self) -> AsyncConnection:
        connection = await self._engine.connect()
        try:
            driver = _driver(connection)
            while driver.is_closed():  # the server ended it while it lay in the pool
                await connection.invalidate()
                await connection.get_raw_connection()
                driver = _driver(connection)
            if issubclass(type(driver), Connection):  # asyncpg answers isinstance() for any connection
                await driver.renew_plans()
            if self._begin:
                await driver.execute(self._begin)
        except BaseException:
            await connection.invalidate()
            await connection.close()
            raise
        self._connection, self._driver, self._traced = connection, driver, recording()
        return connection

    async def _release(self) -> None:
        connection, driver = self._connection, self._driver
        self._connection = self._driver = None
        if connection is None:
            return
        if driver.is_closed() or driver.is_in_transaction():
            driver.terminate()
            await connection.invalidate()
        await connection.close()


@asynccontextmanager
async def transaction(
    engine: AsyncEngine, begin: str | None = WRITING, wakes: Sequence[Callable[[], None]] = ()
) -> AsyncIterator[Session]:
    """A session that is committed when the block ends and rolled back when it raises."""
    session = Session(engine, begin, wakes)
    try:
        yield session
        await session.commit()
    except BaseException:
        await session.rollback()
        raise


def _driver(connection: AsyncConnection) -> Any:
    """What get_raw_connection gives, without the switch of context that costs as much as a statement."""
    pooled = connection.sync_connection
    if pooled is None:
        raise RuntimeError("the connection is not open")
    return pooled.connection.driver_connection


def _numbered(statement: TextClause) -> tuple[str, tuple[str, ...]]:
    """The statement with numbered parameters, and the names they stand for."""
    if statement not in _NUMBERED:
        compiled = statement.compile(dialect=_DIALECT)
        _NUMBERED[statement] = (str(compiled), tuple(compiled.positiontup or ()))
    return _NUMBERED[statement]


def _result(rows: Sequence[Any]) -> Result[*tuple[Any, ...]]:
    keys = tuple(rows[0].keys()) if rows else ("none",)
    return IteratorResult(_metadata(keys), iter([tuple(row) for row in rows]))


@lru_cache(1_000)
def _metadata(keys: tuple[str, ...]) -> SimpleResultMetaData:
    return SimpleResultMetaData(keys)
