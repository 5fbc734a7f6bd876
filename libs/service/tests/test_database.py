"""Transactions at the edge: commit, roll back, wake, read-only snapshots."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import asyncpg
import pytest
from remit_testing.service import rollback
from sqlalchemy import text

from remit_events.session import Session
from remit_service.database import Database


@pytest.fixture(scope="module")
async def db(make_database):
    opened = Database(await make_database(), pool_size=2, overflow=1)
    async with opened.transaction() as session:
        await session.execute(text("CREATE TABLE t (n int, data jsonb)"))
    yield opened
    await opened.close()


async def put(session: Session, n: int) -> None:
    await session.execute(text("INSERT INTO t VALUES (:n)"), {"n": n})


async def there(db: Database, n: int) -> bool:
    async with db.reading() as session:
        return bool(await session.scalar(text("SELECT count(*) FROM t WHERE n = :n"), {"n": n}))


async def test_a_block_commits(db):
    async with db.transaction() as session:
        await put(session, 1)
        assert not await there(db, 1)
    assert await there(db, 1)


async def test_an_exception_rolls_back(db):
    async def failing() -> None:
        async with db.transaction() as session:
            await put(session, 2)
            raise KeyError

    with pytest.raises(KeyError):
        await failing()
    assert not await there(db, 2)


async def test_a_test_can_undo_its_work(db):
    async with rollback(db)() as session:
        await put(session, 3)
        assert await session.scalar(text("SELECT count(*) FROM t WHERE n = 3")) == 1
    assert not await there(db, 3)


@pytest.mark.parametrize(("emitted", "fails", "woken"), [(True, False, 1), (False, False, 0), (True, True, 0)])
async def test_the_relay_is_woken_after_a_commit_that_emitted(db, emitted, fails, woken):
    calls: list[bool] = []
    db.wakes.append(lambda: calls.append(True))
    try:
        async with db.transaction() as session:
            session.emitted = emitted
            await put(session, 4)
            if fails:
                raise RuntimeError
    except RuntimeError:
        pass
    db.wakes.clear()
    assert len(calls) == woken


async def test_a_reading_is_read_only(db):
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with db.reading() as session:
            await put(session, 5)


async def test_a_reading_sees_one_moment(db):
    async with db.reading() as session:
        before = await session.scalar(text("SELECT count(*) FROM t"))
        async with db.transaction() as other:
            await put(other, 6)
        assert await session.scalar(text("SELECT count(*) FROM t")) == before
        await session.rollback()
        assert await session.scalar(text("SELECT count(*) FROM t")) == before + 1


async def test_waiting_between_reads_holds_no_connection(db):
    async with db.reading() as session:
        await session.scalar(text("SELECT 1"))
        assert db.engine.pool.checkedout() == 1
        await session.rollback()
        assert db.engine.pool.checkedout() == 0


async def test_a_connection_used_for_reading_can_write_again(db):
    for _ in range(4):
        async with db.reading() as session:
            await session.scalar(text("SELECT 1"))
        async with db.transaction() as session:
            await put(session, 7)
            assert await session.scalar(text("SHOW transaction_isolation")) == "read committed"


async def test_json_takes_what_models_hold(db):
    given = {"at": datetime(2026, 1, 1, tzinfo=UTC), "id": UUID(int=1), "d": Decimal("1.10"), "s": "ü😀"}
    async with db.transaction() as session:
        from sqlalchemy import bindparam
        from sqlalchemy.dialects.postgresql import JSONB

        statement = text("SELECT :given").bindparams(bindparam("given", type_=JSONB)).columns(given=JSONB)
        assert await session.scalar(statement, {"given": given}) == {
            "at": "2026-01-01T00:00:00Z",
            "id": str(UUID(int=1)),
            "d": "1.10",
            "s": "ü😀",
        }


async def test_errors_never_show_bound_values(db):
    with pytest.raises(asyncpg.PostgresError) as caught:
        async with db.transaction() as session:
            await session.execute(text("SELECT CAST(:v AS jsonb) -> 'a' || nowhere"), {"v": '"hunter2"'})
    assert "hunter2" not in str(caught.value)


async def test_a_statement_ends_after_its_time(make_database):
    short = Database(await make_database(), statement_timeout=0.05)
    with pytest.raises(asyncpg.QueryCanceledError):
        async with short.transaction() as session:
            await session.execute(text("SELECT pg_sleep(5)"))
    await short.ping()
    await short.close()


async def test_a_connection_asks_about_types_that_no_other_has_asked_about(db):
    """What an array of a built-in type is, the process knows; what this database made it asks for."""
    asked = text("SELECT count(*) FROM pg_prepared_statements WHERE strpos(statement, 'typeinfo' || '_tree') > 0")
    arrays = text("SELECT CAST(:ids AS uuid[]) AS ids, CAST(:moments AS timestamptz[]) AS moments")
    given = {"ids": [UUID(int=1)], "moments": [datetime(2026, 3, 2, tzinfo=UTC)]}
    counts = []
    async with db.transaction() as first, db.transaction() as second:
        await first.execute(text("CREATE TYPE mood AS ENUM ('glad', 'sorry')"))
        for session in (first, second):
            assert tuple((await session.execute(arrays, given)).one()) == tuple(given.values())
        counts.append(await second.scalar(asked))
        assert await first.scalar(text("SELECT ARRAY['glad']::mood[]")) == ["glad"]
        counts.append(await first.scalar(asked))
    assert counts == [0, 1]


async def test_connections_are_kept_when_many_were_needed_at_once(make_database):
    """Closed ones would be opened again by the next requests, at the cost of tens of them."""
    opened = Database(await make_database())

    async def process() -> int:
        async with opened.reading() as session:
            await session.scalar(text("SELECT pg_sleep(0.05)"))
            return int(await session.scalar(text("SELECT pg_backend_pid()")))

    first = set(await asyncio.gather(*(process() for _ in range(30))))
    then = set(await asyncio.gather(*(process() for _ in range(30))))
    await opened.close()
    assert len(first) > 10
    assert then <= first
