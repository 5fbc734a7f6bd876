"""emit(): with its transaction or not at all, in order, under the current trace."""

from __future__ import annotations

from uuid import uuid4

import pytest
from opentelemetry.sdk.trace import TracerProvider
from remit_testing.delivery import NOW, DeliveryDatabase, event

from remit_events.outbox import Written, emit
from remit_events.session import WORTH_COPYING
from remit_events.tables import SHARDS, metadata


async def test_events_are_stored_whole_and_in_order(database: DeliveryDatabase) -> None:
    events = [event(uuid4(), n) for n in range(300)]
    await database.emit(*events)
    rows = await database.rows("SELECT * FROM outbox ORDER BY id")
    assert [row.payload for row in rows] == [e.model_dump_json() for e in events]
    assert [row.key for row in rows] == [str(e.customer_id) for e in events]
    assert {(row.topic, row.type, row.aggregate_version, row.time) for row in rows} == {
        ("remit.notifications.v1", "com.remit.reply.received.v1", 0, NOW)
    }
    assert {row.event_id.version for row in rows} == {7}
    assert {row.published_at for row in rows} == {None}


@pytest.mark.parametrize("count", [WORTH_COPYING - 1, WORTH_COPYING])
async def test_few_and_many_are_stored_alike(database: DeliveryDatabase, count: int) -> None:
    """The many go by COPY."""
    events = [event(uuid4(), n) for n in range(count)]
    with TracerProvider().get_tracer("test").start_as_current_span("import"):
        await database.emit(*events[:-1], Written.of(events[-1]))
    rows = await database.rows("SELECT * FROM outbox ORDER BY id")
    assert [(row.aggregate_id, row.key, row.payload) for row in rows] == [
        (one.subject(), str(one.customer_id), one.model_dump_json()) for one in events
    ]
    assert {(row.topic, row.type, row.aggregate_version, row.time, row.shard is None) for row in rows} == {
        ("remit.notifications.v1", "com.remit.reply.received.v1", 0, NOW, False)
    }
    assert len({row.traceparent for row in rows}) == 1
    assert rows[0].traceparent is not None
    ids = [row.event_id for row in rows]
    assert ids == sorted(set(ids))


async def test_a_key_has_one_shard_and_all_shards_are_used(database: DeliveryDatabase) -> None:
    customers = [uuid4() for _ in range(200)]
    await database.emit(*(event(c, n) for n in range(2) for c in customers))
    shards = await database.rows("SELECT key, count(DISTINCT shard), min(shard) FROM outbox GROUP BY key")
    assert {row[1] for row in shards} == {1}
    assert {row[2] for row in shards} == set(range(SHARDS))


async def test_a_rollback_emits_nothing_and_wakes_nobody(database: DeliveryDatabase) -> None:
    woken: list[int] = []
    database.wakes.append(lambda: woken.append(1))

    async def change_my_mind() -> None:
        async with database.transaction() as session:
            await emit(session, [event(uuid4(), 1)], now=NOW)
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await change_my_mind()
    assert await database.rows("SELECT 1 FROM outbox") == []
    assert woken == []
    await database.emit(event(uuid4(), 2))
    assert woken == [1]


async def test_emitting_nothing_is_nothing(database: DeliveryDatabase) -> None:
    async with database.transaction() as session:
        await emit(session, [], now=NOW)
        assert not session.emitted


async def test_the_current_span_travels_with_the_event(database: DeliveryDatabase) -> None:
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("POST /v1/invoices") as span:
        await database.emit(event(uuid4(), 1))
    ((traceparent,),) = await database.rows("SELECT traceparent FROM outbox")
    context = span.get_span_context()
    assert traceparent == f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def test_no_column_reads_a_clock_by_itself() -> None:
    defaults = [column for table in metadata.tables.values() for column in table.c if column.server_default is not None]
    assert {f"{column.table.name}.{column.name}" for column in defaults} == {
        "outbox.id",
        "outbox.shard",
        "dead_letter.id",
    }
