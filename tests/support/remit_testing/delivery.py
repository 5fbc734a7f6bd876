"""What tests of delivery need around it: a database with its tables, a clock, events, a bus that misbehaves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from uuid6 import uuid7

from remit_events.bus import Bus, BusError, Delivered, Received, Record
from remit_events.envelope import Message
from remit_events.escalations import EscalationResolved
from remit_events.notifications import ReplyReceived
from remit_events.outbox import emit
from remit_events.postgres_bus import PostgresBus
from remit_events.session import Session, transaction
from remit_events.state import Channel
from remit_events.tables import metadata
from remit_testing.fixtures import MakeDatabase

NOW = datetime(2025, 3, 3, 9, 0, tzinfo=UTC)
SELLER = UUID(int=1)
EFFECT = "CREATE TABLE IF NOT EXISTS effect (n serial, consumer text, event_id uuid, key text, number int)"


@pytest.fixture(scope="module")
async def delivery_url(make_database: MakeDatabase) -> str:
    """A database for the tests of a module, tables and event log in one."""
    return await make_database()


@pytest.fixture
async def delivery_database(delivery_url: str) -> AsyncIterator[DeliveryDatabase]:
    database = DeliveryDatabase(delivery_url)
    await database.create()
    yield database
    await database.engine.dispose()


@pytest.fixture
async def delivery_bus(delivery_url: str) -> AsyncIterator[FaultyBus]:
    """PostgreSQL's event log, under a prefix of this test."""
    bus = PostgresBus(delivery_url, prefix=f"t{uuid7().hex}.")
    await bus.ensure_topics()
    yield FaultyBus(bus)
    await bus.close()


class SettableClock:
    """Stands still until moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, **delta: float) -> None:
        self._now += timedelta(**delta)


class DeliveryDatabase:
    """A database with the delivery tables and one table `effect(event_id, key, number)` for handlers to write."""

    def __init__(self, url: str) -> None:
        self.engine: AsyncEngine = create_async_engine(url, isolation_level="AUTOCOMMIT", pool_size=10, max_overflow=10)
        self.wakes: list[Callable[[], None]] = []

    async def create(self) -> None:
        """Makes the tables, or empties them."""
        async with self.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            await connection.execute(text(EFFECT))
            await connection.execute(text("TRUNCATE outbox, inbox, dead_letter, effect RESTART IDENTITY"))

    def transaction(self) -> AbstractAsyncContextManager[Session]:
        return transaction(self.engine, wakes=self.wakes)

    async def rows(self, statement: str, **values: Any) -> list[Any]:
        async with self.transaction() as session:
            return list((await session.execute(text(statement), values)).all())

    async def effects(self) -> dict[str, list[int]]:
        """Per key the numbers handled, in the order they took effect."""
        found: dict[str, list[int]] = {}
        for key, number in await self.rows("SELECT key, number FROM effect ORDER BY n"):
            found.setdefault(key, []).append(number)
        return found

    async def emit(self, *events: EscalationResolved | ReplyReceived, now: datetime = NOW) -> None:
        async with self.transaction() as session:
            await emit(session, events, now=now)


def event(customer: UUID, number: int, *, padding: int = 0) -> ReplyReceived:
    """An event of a customer that carries a number (and about `padding` bytes)."""
    return ReplyReceived(
        seller_id=SELLER, customer_id=customer, channel=Channel.EMAIL, intent=f"{number} " + "x" * padding
    )


def number_of(received: Received) -> int:
    assert isinstance(received.event, ReplyReceived)
    return int(received.event.intent.split()[0])


def record(customer: UUID, number: int, *, event_id: UUID | None = None) -> Record:
    """The record of such an event, as a relay would publish it."""
    sent = event(customer, number)
    message = Message(
        id=event_id or uuid7(),
        source="/test",
        type=sent.type,
        time=NOW,
        subject=str(customer),
        partition_key=str(customer),
        sequence=0,
        data=sent.model_dump_json().encode(),
    )
    return Record.of(sent.topic, message)


def writing(consumer: str) -> Callable[[Session, Sequence[Received]], Awaitable[None]]:
    """A handler that writes one effect per event."""

    async def handle(session: Session, batch: Sequence[Received]) -> None:
        for received in batch:
            await session.execute(
                text("INSERT INTO effect (consumer, event_id, key, number) VALUES (:consumer, :id, :key, :number)"),
                {
                    "consumer": consumer,
                    "id": received.message.id,
                    "key": received.message.partition_key,
                    "number": number_of(received),
                },
            )

    return handle


class FaultyBus:
    """Passes through to a bus, except that publish() can be made to fail before or after the real one."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.fail_before = 0
        self.fail_after = 0
        self.published: list[Record] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def publish(self, records: Sequence[Record]) -> list[str | None]:
        if self.fail_before:
            self.fail_before -= 1
            raise BusError("down")
        answers = await self._bus.publish(records)
        self.published += [record for record, refused in zip(records, answers, strict=True) if refused is None]
        if self.fail_after:
            self.fail_after -= 1
            raise BusError("the answer was lost")
        return answers


async def read_all(bus: Bus, topic: str, group: str = "reader") -> list[Delivered]:
    """Everything on a topic, in order per key."""
    member = bus.subscription(group, [topic])
    found: list[Delivered] = []
    while records := await member.poll(limit=1000):
        found += records
    await member.close()
    return found


def first_numbers(records: Sequence[Delivered]) -> dict[str, list[int]]:
    """Per key the numbers in the order of their first delivery."""
    found: dict[str, list[int]] = {}
    seen: set[UUID] = set()
    for delivered in records:
        assert delivered.message is not None
        if delivered.message.id in seen:
            continue
        seen.add(delivered.message.id)
        reply = ReplyReceived.model_validate_json(delivered.value)
        found.setdefault(delivered.key, []).append(int(reply.intent.split()[0]))
    return found
