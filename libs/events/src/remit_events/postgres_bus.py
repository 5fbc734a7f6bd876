"""The embedded transport: topics as a partitioned log in PostgreSQL, woken by NOTIFY and by a slow poll."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import asyncpg

from remit_events import postgres_log as sql
from remit_events.bus import MAX_RECORD_BYTES, BusError, Position, Record, partition_of, partitions_differ, screen
from remit_events.catalogue import TOPICS, Topic
from remit_events.driver import Connection
from remit_events.postgres_group import PostgresSubscription

# What one statement appends at most: bounds memory on both sides.
CHUNK_RECORDS = 2_000
CHUNK_BYTES = 16_000_000
PRUNE_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class StoredTopic:
    """A topic as the log knows it, by its number there."""

    id: int
    name: str
    partitions: int


def plain_url(url: str) -> str:
    """A URL as asyncpg takes it, from one with or without SQLAlchemy's driver name."""
    scheme, _, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}://{rest}"


class PostgresBus:
    """Bus over one PostgreSQL database; its tables come with ensure_topics()."""

    def __init__(self, url: str, *, prefix: str = "") -> None:
        self.dsn = plain_url(url)
        self.prefix = prefix
        self.origin = uuid.uuid4().hex
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._topics: dict[str, StoredTopic] = {}
        self.subscriptions: set[PostgresSubscription] = set()

    async def publish(self, records: Sequence[Record]) -> list[str | None]:
        refusals = screen(records, refusal)
        accepted = [record for record, refused in zip(records, refusals, strict=True) if refused is None]
        for chunk in _chunks(accepted):
            await self._append(chunk)
        return refusals

    async def _append(self, records: Sequence[Record]) -> None:
        topics = {name: await self.topic(name) for name in dict.fromkeys(record.topic for record in records)}
        stored = [topics[record.topic] for record in records]
        with sql.bus_errors("append"):
            await (await self.pool()).execute(
                sql.APPEND,
                [topic.id for topic in stored],
                [partition_of(record.key, topic.partitions) for record, topic in zip(records, stored, strict=True)],
                [record.key for record in records],
                [record.value for record in records],
                [sql.pack(record.headers) for record in records],
                self.origin,
            )
        numbers = {topic.id for topic in stored}
        for subscription in self.subscriptions:
            subscription.nudge(numbers)

    def subscription(self, group: str, topics: Sequence[str]) -> PostgresSubscription:
        subscription = PostgresSubscription(self, group, topics)
        self.subscriptions.add(subscription)
        return subscription

    async def ensure_topics(self, topics: Sequence[Topic] = TOPICS) -> None:
        with sql.bus_errors("create topics"):
            async with (await self.pool()).acquire() as connection, connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", sql.SCHEMA_LOCK)
                await connection.execute(sql.DDL)
                for topic in topics:
                    there = await connection.fetchval(
                        sql.CREATE_TOPIC, self.prefix + topic.name, topic.partitions, topic.retention
                    )
                    if there != topic.partitions:
                        raise BusError(partitions_differ(self.prefix + topic.name, there, topic.partitions))
        self._topics.clear()

    async def topic(self, name: str) -> StoredTopic:
        """Raises BusError when there is none of that name."""
        if name not in self._topics:
            with sql.bus_errors("read topics"):
                rows = await (await self.pool()).fetch(sql.TOPICS)
            self._topics = {
                row["name"][len(self.prefix) :]: StoredTopic(row["id"], row["name"], row["partitions"])
                for row in rows
                if row["name"].startswith(self.prefix)
            }
        if name not in self._topics:
            raise BusError(f"topic {self.prefix + name} does not exist; create the topics first")
        return self._topics[name]

    async def end_offsets(self, topics: Sequence[str]) -> dict[Position, int]:
        with sql.bus_errors("read ends"):
            rows = await (await self.pool()).fetch(sql.ENDS, [self.prefix + name for name in topics])
        return {(row["name"][len(self.prefix) :], row["partition"]): row["next_offset"] for row in rows}

    async def lag(self, group: str, topics: Sequence[str]) -> int:
        with sql.bus_errors("read lag"):
            lag = await (await self.pool()).fetchval(
                sql.LAG, self.prefix + group, [self.prefix + name for name in topics]
            )
        return int(lag)

    async def check(self) -> None:
        with sql.bus_errors("health check"):
            await (await self.pool()).fetchval("SELECT 1", timeout=5)

    async def prune(self) -> int:
        pruned = 0
        with sql.bus_errors("prune"):
            pool = await self.pool()
            for row in await pool.fetch(sql.PARTITIONS):
                dropped = PRUNE_ROWS
                while dropped == PRUNE_ROWS:
                    dropped = await pool.fetchval(sql.PRUNE, row["topic_id"], row["partition"], PRUNE_ROWS)
                    pruned += dropped
        return pruned

    async def pool(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                with sql.bus_errors("connect"):
                    self._pool = await asyncpg.create_pool(
                        self.dsn,
                        min_size=0,
                        max_size=4,
                        timeout=10,
                        command_timeout=30,
                        reset=_as_it_is,
                        connection_class=Connection,
                    )
        return self._pool

    async def close(self) -> None:
        for subscription in list(self.subscriptions):
            await subscription.close()
        if self._pool is not None:
            await self._pool.close()
            self._pool = None


async def _as_it_is(_connection: asyncpg.Connection) -> None:
    """Statements here leave nothing behind in a session: resetting it would be a round trip for nothing."""


def refusal(record: Record) -> str | None:
    """Why the log would never take the record, None when it would."""
    if record.size() > MAX_RECORD_BYTES:
        return f"record of {record.size()} bytes is larger than {MAX_RECORD_BYTES}"
    if "\0" in record.key:
        return "key contains a NUL character"
    return None


def _chunks(records: Sequence[Record]) -> Iterator[list[Record]]:
    chunk: list[Record] = []
    size = 0
    for record in records:
        if chunk and (len(chunk) == CHUNK_RECORDS or size + len(record.value) > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(record)
        size += len(record.value)
    if chunk:
        yield chunk
