"""Sessions: text and expressions in one transaction, and what becomes of a connection that is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from remit_testing.fixtures import MakeDatabase
from sqlalchemy import Column, Integer, MetaData, Table, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from remit_events.driver import Connection
from remit_events.failures import is_infrastructure
from remit_events.session import READING, RolledBackError, Session, transaction

THING = Table("thing", MetaData(), Column("n", Integer, primary_key=True))
COUNT = text("SELECT count(*) FROM thing")
PUT = text("INSERT INTO thing (n) VALUES (:n)")
ME = text("SELECT pg_backend_pid()")


@pytest.fixture
async def engine(make_database: MakeDatabase) -> AsyncIterator[AsyncEngine]:
    made = create_async_engine(await make_database(), isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=1)
    async with made.begin() as connection:
        await connection.run_sync(THING.metadata.create_all)
    yield made
    await made.dispose()


async def count(engine: AsyncEngine) -> int:
    async with transaction(engine) as session:
        return int(await session.scalar(COUNT))


async def kill(engine: AsyncEngine, pid: int) -> None:
    """Ends a backend from another connection, and waits until this process has noticed."""
    async with transaction(engine, None) as session:
        await session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    await asyncio.sleep(0.1)


async def test_text_and_expressions_share_the_transaction(engine: AsyncEngine) -> None:
    async with transaction(engine) as session:
        await session.execute(PUT, {"n": 1})
        assert await session.scalar(select(THING.c.n)) == 1
        await session.execute(insert(THING), [{"n": 2}, {"n": 3}])
        assert await session.scalar(COUNT) == 3
        assert await count(engine) == 0
    assert await count(engine) == 3


async def test_values_are_found_by_name(engine: AsyncEngine) -> None:
    async with transaction(engine) as session:
        asked = text("SELECT :b AS b, CAST(:a AS text) AS a, '50%'::text AS percent, :b || '\\:x' AS again")
        [row] = await session.fetch(asked, {"a": "1", "b": "2"})
    assert (row.b, row.a, row.percent, row.again) == ("2", "1", "50%", "2:x")
    with pytest.raises(AttributeError, match="nothing"):
        _ = row.nothing


async def test_no_rows_are_a_result_all_the_same(engine: AsyncEngine) -> None:
    async with transaction(engine) as session:
        for empty in (text("SELECT n FROM thing"), select(THING.c.n)):
            assert (await session.execute(empty)).all() == []
            assert (await session.scalars(empty)).all() == []
            assert await session.scalar(empty) is None
            assert (await session.execute(empty)).one_or_none() is None


async def test_what_raises_leaves_nothing_and_gives_the_connection_back(engine: AsyncEngine) -> None:
    async def fail(error: BaseException) -> None:
        async with transaction(engine) as session:
            session.after_commit.append(lambda: pytest.fail("it was not committed"))
            await session.execute(PUT, {"n": 1})
            raise error

    for error in (KeyError(), asyncio.CancelledError()):
        with pytest.raises(type(error)):
            await fail(error)
    assert await count(engine) == 0
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_a_failure_passed_over_is_told_at_the_commit(engine: AsyncEngine) -> None:
    async def careless() -> None:
        async with transaction(engine) as session:
            await session.execute(PUT, {"n": 1})
            with pytest.raises(asyncpg.UniqueViolationError):
                await session.execute(PUT, {"n": 1})

    with pytest.raises(RolledBackError):
        await careless()
    assert await count(engine) == 0


async def test_a_cancelled_statement_leaves_a_connection_that_works(engine: AsyncEngine) -> None:
    async def slow() -> None:
        async with transaction(engine) as session:
            await session.execute(PUT, {"n": 1})
            await session.execute(text("SELECT pg_sleep(30)"))

    task = asyncio.create_task(slow())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await count(engine) == 0
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_a_connection_ended_in_the_pool_is_replaced(engine: AsyncEngine) -> None:
    async with transaction(engine) as one, transaction(engine) as other:
        pids = {await one.scalar(ME), await other.scalar(ME)}
    admin = create_async_engine(engine.url, isolation_level="AUTOCOMMIT")
    for pid in pids:
        await kill(admin, pid)
    await admin.dispose()
    assert await count(engine) == 0


async def test_a_connection_lost_on_the_way_is_infrastructure(engine: AsyncEngine) -> None:
    async def unlucky() -> None:
        async with transaction(engine) as session:
            await session.execute(PUT, {"n": 1})
            await kill(engine, await session.scalar(ME))
            await session.execute(PUT, {"n": 2})

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)) as caught:
        await unlucky()
    assert is_infrastructure(caught.value)
    assert await count(engine) == 0


async def test_a_changed_table_is_infrastructure_and_works_the_next_time(engine: AsyncEngine) -> None:
    everything = text("SELECT * FROM thing")

    async def read() -> None:
        async with transaction(engine) as session:
            await session.fetch(everything, {})

    await read()
    async with transaction(engine, None) as one, transaction(engine, None) as other:
        await one.fetch(everything, {})
        await other.fetch(everything, {})
        await one.execute(text("ALTER TABLE thing ADD COLUMN more int"))
    with pytest.raises(asyncpg.PostgresError) as caught:
        await read()
    assert is_infrastructure(caught.value)
    await read()


async def test_what_is_undone_leaves_no_trace(engine: AsyncEngine) -> None:
    async with transaction(engine) as session:
        await session.execute(PUT, {"n": 1})
        async with session.undone():
            await session.execute(PUT, {"n": 2})
            session.emitted = True
        assert not session.emitted
    assert await count(engine) == 1


async def test_a_reading_cannot_write_and_sees_one_moment(engine: AsyncEngine) -> None:
    async with transaction(engine, READING) as reading:
        assert await reading.scalar(COUNT) == 0
        async with transaction(engine) as writing:
            await writing.execute(PUT, {"n": 1})
        assert await reading.scalar(COUNT) == 0
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await reading.execute(PUT, {"n": 2})
        await reading.rollback()
        assert await reading.scalar(COUNT) == 1


async def test_without_a_transaction_every_statement_stands_by_itself(engine: AsyncEngine) -> None:
    async with transaction(engine, None) as session:
        await session.execute(PUT, {"n": 1})
        assert await count(engine) == 1


async def test_callbacks_are_called_once_after_the_commit(engine: AsyncEngine) -> None:
    calls: list[str] = []
    session = Session(engine)
    session.after_commit.append(lambda: calls.append("committed"))
    await session.execute(PUT, {"n": 1})
    assert calls == []
    await session.commit()
    await session.commit()
    assert calls == ["committed"]


async def test_plans_made_for_an_empty_table_are_made_again(make_database: MakeDatabase) -> None:
    """Whose look-up by two columns goes through the index of the first, as the empty table's may."""
    settings = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
    given = {"connection_class": Connection, "server_settings": settings}
    engine = create_async_engine(await make_database(), isolation_level="AUTOCOMMIT", connect_args=given, pool_size=1)
    found = text("SELECT id FROM owned WHERE owner = :owner AND number = ANY(CAST(:numbers AS int[])) ORDER BY id")
    read = text("SELECT indexrelname, idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname LIKE 'by_%' ORDER BY 1")
    try:
        async with transaction(engine) as session:
            await session.execute(text("CREATE TABLE owned (id int PRIMARY KEY, owner int, number int)"))
            await session.execute(text("CREATE INDEX by_owner ON owned (owner, id)"))
            await session.execute(text("CREATE UNIQUE INDEX by_number ON owned (owner, number)"))
            await session.execute(text("ALTER TABLE owned SET (autovacuum_enabled = off)"))
        async with transaction(engine, None) as session:
            await session.execute(text("VACUUM owned"))
        for _ in range(2):
            async with transaction(engine) as session:
                await session.execute(found, {"owner": 1, "numbers": [1, 2]})
                driver = session._driver
                fill = "INSERT INTO owned SELECT n, 1, n FROM generate_series(1, 50000) n ON CONFLICT DO NOTHING"
                await session.execute(text(fill))
            driver._plans_until = 0.0
        async with transaction(engine, None) as session:
            await session.execute(text("SELECT pg_stat_force_next_flush()"))
            assert [(name, rows > 0) for name, rows in await session.execute(read)] == [
                ("by_number", True),
                ("by_owner", False),
            ]
    finally:
        await engine.dispose()
