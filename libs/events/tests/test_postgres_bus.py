"""What is particular to the PostgreSQL transport: late writers, lost connections, the cost of silence, retention."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from remit_testing.delivery import record
from remit_testing.fixtures import MakeDatabase

from remit_events import postgres_bus, postgres_log
from remit_events.bus import BusError, FencedError, Record, open_bus
from remit_events.catalogue import Topic
from remit_events.postgres_bus import PostgresBus, partition_of, plain_url

TOPIC = "remit.notifications.v1"


@pytest.fixture(scope="module")
async def url(make_database: MakeDatabase) -> str:
    return await make_database()


@pytest.fixture
async def bus(url: str) -> AsyncIterator[PostgresBus]:
    bus = PostgresBus(url, prefix=f"t{uuid4().hex}.")
    await bus.ensure_topics()
    yield bus
    await bus.close()


async def other(bus: PostgresBus) -> PostgresBus:
    """The same log as another process has it."""
    return PostgresBus(bus.dsn, prefix=bus.prefix)


async def kill_member(bus: PostgresBus, member: Any) -> None:
    connection = await asyncpg.connect(bus.dsn)
    await connection.execute("SELECT pg_terminate_backend($1)", member._connection.get_server_pid())
    await connection.close()


def test_the_transport_is_chosen_by_scheme() -> None:
    assert plain_url("postgresql+asyncpg://u@/db?host=/run") == "postgresql://u@/db?host=/run"
    with pytest.raises(ValueError, match="EVENTS_URL: 'amqp'"):
        open_bus("amqp://localhost")
    with pytest.raises(ValueError, match="color"):
        open_bus("kafka://localhost:9092?color=red")


async def test_a_reader_cannot_pass_a_late_writer(bus: PostgresBus) -> None:
    """A writer that holds the partition open delays others; nothing with a later offset is seen before it."""
    customer = uuid4()
    member = bus.subscription("g", [TOPIC])
    await member.poll()
    slow = await asyncpg.connect(bus.dsn)
    topic = await bus.topic(TOPIC)
    transaction = slow.transaction()
    await transaction.start()
    late = record(customer, 1)
    await slow.execute(
        postgres_log.APPEND,
        [topic.id], [partition_of(late.key, 8)], [late.key], [late.value], [postgres_log.pack(late.headers)], "x",
    )  # fmt: skip
    publishing = asyncio.create_task(bus.publish([record(customer, 2)]))
    await asyncio.sleep(0.1)
    member._news = True
    assert await member.poll() == []
    assert not publishing.done()
    await transaction.commit()
    await publishing
    member._news = True
    assert [d.offset for d in await member.poll()] == [0, 1]
    await slow.close()


async def test_concurrent_publishers_leave_no_gaps(bus: PostgresBus) -> None:
    customers = [uuid4() for _ in range(20)]
    buses = [await other(bus) for _ in range(4)]

    async def publish(publisher: PostgresBus, seed: int) -> None:
        for n in range(15):
            order = customers[seed:] + customers[:seed]
            await publisher.publish([record(c, n) for c in order])

    await asyncio.gather(*(publish(publisher, 5 * n) for n, publisher in enumerate(buses)))
    member = bus.subscription("g", [TOPIC])
    found: list[tuple[int, int]] = []
    while records := await member.poll(limit=333):
        found += [(d.partition, d.offset) for d in records]
    ends = await bus.end_offsets([TOPIC])
    assert sorted(found) == [(p, n) for (_, p), end in sorted(ends.items()) for n in range(end)]
    assert len(found) == 4 * 15 * 20
    for publisher in buses:
        await publisher.close()


async def test_silence_costs_nothing(bus: PostgresBus) -> None:
    member = bus.subscription("g", [TOPIC, "remit.schedule.v1", "remit.invoices.v1"])
    await bus.publish([record(uuid4(), 1)])
    assert len(await member.poll()) == 1
    await member.commit()
    member._members_due = member._fetch_due = float("inf")
    statements = await count_statements(member)
    for _ in range(50):
        assert await member.poll() == []
        await member.commit()
    await asyncio.sleep(0.01)
    assert statements == []
    await bus.publish([record(uuid4(), 2)])
    assert len(await member.poll()) == 1
    await asyncio.sleep(0.01)
    assert len(statements) == 1


async def count_statements(member: Any) -> list[str]:
    statements: list[str] = []
    member._connection.add_query_logger(lambda query: statements.append(query.query))
    return statements


async def test_a_member_whose_connection_dies_cannot_commit_and_comes_back(bus: PostgresBus) -> None:
    await bus.publish([record(uuid4(), n) for n in range(10)])
    member = bus.subscription("g", [TOPIC])
    assert len(await member.poll()) == 10
    await kill_member(bus, member)
    await asyncio.sleep(0.05)
    with pytest.raises(FencedError):
        await member.commit()
    assert len(await member.poll()) == 10
    await member.commit()
    assert await bus.lag("g", [TOPIC]) == 0


async def test_a_dead_members_partitions_are_taken_over(bus: PostgresBus) -> None:
    dead, heir = bus.subscription("g", [TOPIC]), (await other(bus)).subscription("g", [TOPIC])
    for _ in range(3):
        await dead.poll(timeout=0.05)
        await heir.poll(timeout=0.05)
    assert (len(await dead.assignment()), len(await heir.assignment())) == (4, 4)
    await kill_member(bus, dead)
    async with asyncio.timeout(5):
        while len(await heir.assignment()) < 8:
            await heir.poll(timeout=0.2)
    await heir._bus.close()


async def test_a_poll_that_is_cancelled_loses_nothing(bus: PostgresBus) -> None:
    member = bus.subscription("g", [TOPIC])
    await member.poll()
    waiting = asyncio.create_task(member.poll(timeout=30))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await bus.publish([record(uuid4(), 1)])
    assert len(await member.poll()) == 1


async def test_a_backlog_in_one_partition_does_not_starve_the_others(bus: PostgresBus) -> None:
    busy, quiet = [uuid4(), uuid4()]
    while partition_of(str(busy), 8) == partition_of(str(quiet), 8):
        quiet = uuid4()
    await bus.publish([record(busy, n) for n in range(500)] + [record(quiet, 0)])
    member = bus.subscription("g", [TOPIC])
    seen: list[str] = []
    for _ in range(8):
        seen += [d.key for d in await member.poll(limit=20)]
    assert str(quiet) in seen


async def test_large_batches_are_cut(bus: PostgresBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_bus, "CHUNK_RECORDS", 7)
    customer = uuid4()
    await bus.publish([record(customer, n) for n in range(30)])
    assert [d.offset for d in await bus.subscription("g", [TOPIC]).poll()] == list(range(30))


async def test_large_records_come_in_smaller_polls(bus: PostgresBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remit_events.postgres_group.FETCH_BYTES", 100_000)
    customer = uuid4()
    await bus.publish([record(customer, n)._replace(value=b"x" * 40_000) for n in range(8)])
    member = bus.subscription("g", [TOPIC])
    assert [[d.offset for d in await member.poll()] for _ in range(4)] == [[0, 1, 2], [3, 4, 5], [6, 7], []]


async def test_old_records_go_and_readers_start_at_what_is_left(bus: PostgresBus) -> None:
    await bus.ensure_topics([Topic("short.v1", "test", partitions=2, retention=timedelta(hours=1))])
    await bus.publish([_on("short.v1", n) for n in range(40)])
    connection = await asyncpg.connect(bus.dsn)
    topic = await bus.topic("short.v1")
    await connection.execute(
        "UPDATE bus_log SET appended_at = appended_at - interval '2 hours' WHERE topic_id = $1 AND record_offset < 10",
        topic.id,
    )
    await connection.close()
    assert await bus.prune() == 20
    assert await bus.prune() == 0
    assert await bus.lag("g", ["short.v1"]) == 20
    member = bus.subscription("g", ["short.v1"])
    offsets = sorted((d.partition, d.offset) for d in await member.poll())
    assert offsets == [(p, n) for p in range(2) for n in range(10, 20)]
    await member.seek("short.v1", 0, 0)
    assert len(await member.poll()) == 10


def _on(topic: str, n: int) -> Record:
    """A record for partition n % 2 of a topic of two."""
    while partition_of(str(customer := uuid4()), 2) != n % 2:
        pass
    made = record(customer, n)
    return Record(topic, made.key, made.value, made.headers)


async def test_a_database_that_is_not_there() -> None:
    bus = PostgresBus("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(BusError, match="PostgreSQL event log"):
        await bus.check()
    with pytest.raises(BusError):
        await bus.publish([record(uuid4(), 1)])
    await bus.close()
