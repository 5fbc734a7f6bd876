"""The consumer: effect once, poison put aside while the rest flows, infrastructure waited out."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from uuid import UUID, uuid4

import asyncpg
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY
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
from remit_events.bus import FencedError, Received, Record
from remit_events.consumer import Consumer
from remit_events.outbox import emit
from remit_events.relay import Relay
from remit_events.session import Session

TOPIC = "remit.notifications.v1"
LETTERS = "SELECT key, status, error, event_id FROM dead_letter ORDER BY id"
PID = text("SELECT pg_backend_pid()")


@pytest.fixture
def database(delivery_database: DeliveryDatabase) -> DeliveryDatabase:
    return delivery_database


@pytest.fixture
def bus(delivery_bus: FaultyBus) -> FaultyBus:
    return delivery_bus


def consumer(
    database: DeliveryDatabase, bus: FaultyBus, handle: consumer_module.Handler | None = None, batch: int = 500
) -> Consumer:
    return Consumer("c", database, bus, [TOPIC], handle or writing("c"), SettableClock(), batch=batch)


def picky(refused: set[int]) -> consumer_module.Handler:
    """A handler that fails on these numbers, after it has written their effect."""
    write = writing("c")

    async def handle(session: Session, batch: Sequence[Received]) -> None:
        await write(session, batch)
        for received in batch:
            if number_of(received) in refused:
                raise ValueError(f"number {number_of(received)} is not to my taste")

    return handle


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


async def test_poison_is_put_aside_with_its_key_and_others_flow(database: DeliveryDatabase, bus: FaultyBus) -> None:
    bad, good = uuid4(), uuid4()
    await bus.publish([record(c, n) for n in range(6) for c in (bad, good)])
    task = consumer(database, bus, picky_for(bad, {2}))
    started = time.monotonic()
    assert await task.run() == 12
    assert time.monotonic() - started < 5
    await bus.publish([record(bad, 6), record(good, 6)])
    assert await task.run() == 2
    assert await database.effects() == {str(bad): [0, 1], str(good): [0, 1, 2, 3, 4, 5, 6]}
    letters = await database.rows(LETTERS)
    assert [(key, status) for key, status, *_ in letters] == [
        (str(bad), "dead"),
        *[(str(bad), "parked")] * 4,
    ]
    assert letters[0].error == "ValueError: number 2 is not to my taste"
    assert await bus.lag("c", [TOPIC]) == 0


def picky_for(customer: UUID, refused: set[int]) -> consumer_module.Handler:
    """A handler that fails on these numbers of one customer, after it has written their effect."""
    write = writing("c")

    async def handle(session: Session, batch: Sequence[Received]) -> None:
        await write(session, batch)
        for received in batch:
            if number_of(received) in refused and received.message.partition_key == str(customer):
                raise ValueError(f"number {number_of(received)} is not to my taste")

    return handle


async def test_one_bad_event_of_five_hundred(database: DeliveryDatabase, bus: FaultyBus) -> None:
    customers = [uuid4() for _ in range(500)]
    await bus.publish([record(c, n) for n, c in enumerate(customers)])
    assert await consumer(database, bus, picky({333})).run() == 500
    assert len(await database.effects()) == 499
    assert [row.status for row in await database.rows(LETTERS)] == ["dead"]


async def test_unreadable_records(database: DeliveryDatabase, bus: FaultyBus) -> None:
    key, other = uuid4(), uuid4()
    fine = record(key, 1)
    broken_headers = Record(TOPIC, str(key), b"{}", [("ce_id", b"\xff\x00")])
    broken_body = Record(TOPIC, str(key), b'{"seller_id": "secret-value"}', record(key, 3).headers)
    keyless = Record(TOPIC, "", b"\x00\xff", [("a", b"\x00")])
    await bus.publish([fine, broken_headers, broken_body, record(key, 4), keyless, keyless, record(other, 5)])
    assert await consumer(database, bus).run() == 7
    assert await database.effects() == {str(key): [1], str(other): [5]}
    letters = await database.rows("SELECT key, status, value, headers, error, type FROM dead_letter ORDER BY id")
    assert sorted((row.key == "", row.status) for row in letters) == [
        (False, "dead"),
        (False, "parked"),
        (False, "parked"),
        (True, "dead"),
        (True, "dead"),
    ]
    ((raw, headers),) = [(row.value, row.headers) for row in letters if row.key and row.status == "dead"]
    assert (raw, headers) == (b"{}", [["ce_id", "\xff\x00"]])
    assert "secret-value" not in str([row.error for row in letters])


async def test_an_unknown_type_is_skipped_and_counted(database: DeliveryDatabase, bus: FaultyBus) -> None:
    before = REGISTRY.get_sample_value("remit_consumer_handled_total", UNKNOWN) or 0
    newer = [
        (name, b"com.remit.invoice.framed.v1" if name == "ce_type" else value)
        for name, value in record(uuid4(), 1).headers
    ]
    await bus.publish([Record(TOPIC, "k", b"not even json", newer), record(uuid4(), 2)])
    assert await consumer(database, bus).run() == 2
    assert list((await database.effects()).values()) == [[2]]
    assert await database.rows(LETTERS) == []
    assert REGISTRY.get_sample_value("remit_consumer_handled_total", UNKNOWN) == before + 1


UNKNOWN = {"service": "c", "consumer": "c", "outcome": "unknown"}


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
