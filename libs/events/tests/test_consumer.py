"""The consumer: effect once, poison put aside while the rest flows, infrastructure waited out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from uuid import uuid4

import asyncpg
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from remit_testing.delivery import (
    NOW,
    DeliveryDatabase,
    FaultyBus,
    SettableClock,
    event,
    number_of,
    record,
    writing,
)
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from uuid6 import uuid7

from remit_events import consumer as consumer_module
from remit_events import tracing
from remit_events.bus import FencedError, Received
from remit_events.consumer import Consumer
from remit_events.outbox import emit
from remit_events.relay import Relay
from remit_events.session import Session

TOPIC = "remit.notifications.v1"
LETTERS = "SELECT key, status, error, event_id FROM dead_letter ORDER BY id"
PID = text("SELECT pg_backend_pid()")


def consumer(
    database: DeliveryDatabase, bus: FaultyBus, handle: consumer_module.Handler | None = None, batch: int = 500
) -> Consumer:
    return Consumer("c", database, bus, [TOPIC], handle or writing("c"), SettableClock(), batch=batch)


async def test_each_event_three_times_in_any_order_has_one_effect(database: DeliveryDatabase, bus: FaultyBus) -> None:
    chance = random.Random(3)  # noqa: S311
    records = [record(uuid4(), n) for n in range(150)] * 3
    chance.shuffle(records)
    task = consumer(database, bus, batch=37)
    for start in range(0, len(records), 60):
        await bus.publish(records[start : start + 60])
        assert await task.run() == len(records[start : start + 60])
    assert await task.run() == 0
    effects = await database.rows("SELECT count(*), count(DISTINCT event_id) FROM effect")
    assert effects == [(150, 150)]
    assert await bus.lag("c", [TOPIC]) == 0


async def test_a_batch_is_one_transaction_in_order(database: DeliveryDatabase, bus: FaultyBus) -> None:
    customers = [uuid4() for _ in range(5)]
    await bus.publish([record(c, n) for n in range(40) for c in customers])
    sizes: list[int] = []
    write = writing("c")

    async def handle(session: Session, batch: Sequence[Received]) -> None:
        sizes.append(len(batch))
        await write(session, batch)

    assert await consumer(database, bus, handle, batch=200).run() == 200
    assert sizes == [200]
    assert await database.effects() == {str(c): list(range(40)) for c in customers}
    ((transactions,),) = await database.rows("SELECT count(DISTINCT xmin::text) FROM effect")
    assert transactions == 1


async def test_two_consumers_of_one_database_have_an_inbox_each(database: DeliveryDatabase, bus: FaultyBus) -> None:
    await bus.publish([record(uuid4(), 1)])
    for name in ("a", "b"):
        assert await Consumer(name, database, bus, [TOPIC], writing(name), SettableClock()).run() == 1
    assert await database.rows("SELECT consumer FROM effect ORDER BY 1") == [("a",), ("b",)]


async def test_what_a_handler_emits_leaves_with_its_transaction(database: DeliveryDatabase, bus: FaultyBus) -> None:
    customer = uuid4()

    async def handle(session: Session, batch: Sequence[Received]) -> None:
        await emit(session, [event(customer, 10 * number_of(received)) for received in batch], now=NOW)
        if any(number_of(received) == 2 for received in batch):
            raise ValueError("no")

    await bus.publish([record(uuid4(), 1), record(uuid4(), 2)])
    await consumer(database, bus, handle).run()
    rows = await database.rows("SELECT payload FROM outbox")
    assert [("10 " in payload) for (payload,) in rows] == [True]


def connection_lost() -> Exception:
    return OperationalError("SELECT 1", {}, asyncpg.ConnectionDoesNotExistError("gone"))


def serialization() -> Exception:
    return asyncpg.SerializationError("could not serialize access")


@pytest.mark.parametrize("failure", [connection_lost, serialization, TimeoutError, ConnectionRefusedError])
async def test_infrastructure_is_waited_out(
    database: DeliveryDatabase, bus: FaultyBus, failure: type[Exception]
) -> None:
    down = True
    write = writing("c")

    async def handle(session: Session, batch: Sequence[Received]) -> None:
        await write(session, batch)
        if down:
            raise failure()

    customer = uuid4()
    await bus.publish([record(customer, n) for n in range(5)])
    task = consumer(database, bus, handle)
    for _ in range(2):
        with pytest.raises(type(failure())):
            await task.run()
    assert await database.effects() == {}
    assert await bus.lag("c", [TOPIC]) == 5
    down = False
    assert await task.run() == 5
    assert await database.effects() == {str(customer): [0, 1, 2, 3, 4]}
    assert await database.rows(LETTERS) == []


async def test_the_database_session_is_killed_under_the_handler(database: DeliveryDatabase, bus: FaultyBus) -> None:
    attempts = 0
    write = writing("c")

    async def handle(session: Session, batch: Sequence[Received]) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            ((pid,),) = (await session.execute(PID)).all()
            await database.rows("SELECT pg_terminate_backend(:pid)", pid=pid)
        await write(session, batch)

    await bus.publish([record(uuid4(), 1)])
    task = consumer(database, bus, handle)
    with pytest.raises(Exception) as failed:  # noqa: PT011  whichever of many the driver raises
        await task.run()
    assert consumer_module.is_infrastructure(failed.value)
    assert await task.run() == 1
    assert attempts == 2
    assert await database.rows(LETTERS) == []


async def test_offsets_that_cannot_be_committed_cost_a_redelivery_only(
    database: DeliveryDatabase, bus: FaultyBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bus.publish([record(uuid4(), n) for n in range(4)])
    task = consumer(database, bus)

    async def fenced() -> None:
        raise FencedError("the group moved on")

    with monkeypatch.context() as patched:
        patched.setattr(task._subscription, "commit", fenced)
        assert await task.run() == 4
    await task.close()
    again = consumer(database, bus)
    assert await again.run() == 4
    assert await database.rows("SELECT count(*) FROM effect") == [(4,)]
    assert await bus.lag("c", [TOPIC]) == 0


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_TRACER", provider.get_tracer("test"))
    return exporter


async def test_offsets_may_wait(database: DeliveryDatabase, bus: FaultyBus) -> None:
    await bus.publish([record(uuid4(), 0)])
    task = consumer(database, bus)
    task.offsets_seconds = 60.0
    assert await task.run() == 1
    await bus.publish([record(uuid4(), 1)])
    assert await task.run() == 1
    assert await bus.lag("c", [TOPIC]) == 2
    await task.commit()
    assert await bus.lag("c", [TOPIC]) == 0


async def test_one_trace_joins_request_outbox_bus_and_consumer(
    database: DeliveryDatabase, bus: FaultyBus, spans: InMemorySpanExporter
) -> None:
    seen: list[int] = []

    async def handle(session: Session, batch: Sequence[Received]) -> None:
        seen.append(trace.get_current_span().get_span_context().trace_id)
        await emit(session, [event(uuid4(), 100)], now=NOW)

    requests: list[ReadableSpan] = []
    for n in range(2):
        with tracing._TRACER.start_as_current_span(f"POST {n}") as request:
            await database.emit(event(uuid4(), n))
        assert isinstance(request, ReadableSpan)
        requests.append(request)
    relay = Relay(database, bus, "/notifier-svc", SettableClock())
    await relay.run()
    await consumer(database, bus, handle).run()
    consumed = {
        span.context.trace_id: span
        for span in spans.get_finished_spans()
        if span.name == "consume" and span.context is not None
    }
    traces = [request.context.trace_id for request in requests if request.context]
    assert set(consumed) == set(traces)
    parents = [consumed[number].parent for number in traces]
    assert [parent and parent.span_id for parent in parents] == [r.context and r.context.span_id for r in requests]
    assert len(seen) == 1
    ((caused,),) = await database.rows("SELECT traceparent FROM outbox WHERE published_at IS NULL")
    assert caused.split("-")[1] == f"{seen[0]:032x}"
    await relay.close()


async def test_the_same_id_under_another_body_is_the_same_event(database: DeliveryDatabase, bus: FaultyBus) -> None:
    event_id = uuid7()
    await bus.publish([record(uuid4(), 1, event_id=event_id), record(uuid4(), 2, event_id=event_id)])
    assert await consumer(database, bus).run() == 2
    assert await database.rows("SELECT count(*) FROM effect") == [(1,)]
