"""Poison: what a handler refuses or nobody can read is put aside with its key, and the rest flows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import UUID, uuid4

from prometheus_client import REGISTRY
from remit_testing.delivery import (
    DeliveryDatabase,
    FaultyBus,
    SettableClock,
    number_of,
    record,
    writing,
)

from remit_events.bus import Received, Record
from remit_events.consumer import Consumer, Handler
from remit_events.session import Session

TOPIC = "remit.notifications.v1"
LETTERS = "SELECT key, status, error, event_id FROM dead_letter ORDER BY id"


def consumer(database: DeliveryDatabase, bus: FaultyBus, handle: Handler | None = None) -> Consumer:
    return Consumer("c", database, bus, [TOPIC], handle or writing("c"), SettableClock())


def picky(refused: set[int]) -> Handler:
    """A handler that fails on these numbers, after it has written their effect."""
    write = writing("c")

    async def handle(session: Session, batch: Sequence[Received]) -> None:
        await write(session, batch)
        for received in batch:
            if number_of(received) in refused:
                raise ValueError(f"number {number_of(received)} is not to my taste")

    return handle


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


def picky_for(customer: UUID, refused: set[int]) -> Handler:
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
