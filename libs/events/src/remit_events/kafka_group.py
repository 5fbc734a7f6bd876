"""A member of a consumer group on Kafka.

One fetch is always under way, so that its answer can wake the reader. When the group is rebalanced, the batch in work
is given time to be committed first; what was fetched and not handed out is forgotten, the next owner reads it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from remit_events.bus import MAX_RECORD_BYTES, BusError, Delivered, FencedError, Headers, Position
from remit_events.kafka_client import bus_errors, put_down, start

if TYPE_CHECKING:
    from remit_events.kafka_bus import KafkaBus

# Shorter than the watchdog waits (watchdog.STALL_SECONDS).
JOIN_SECONDS = 45
COMMIT_SECONDS = 10
# Shorter than the time the group waits for its members (rebalance_timeout_ms).
DRAIN_SECONDS = 20
FETCH_SECONDS = 30
# How long poll(timeout=0) waits for what this process is known to have published.
PROMISE_SECONDS = 5
NOT_OURS = 2**63


class KafkaSubscription(ConsumerRebalanceListener):  # type: ignore[misc]  # untyped base
    """See bus.Subscription."""

    def __init__(self, bus: KafkaBus, group: str, topics: Sequence[str]) -> None:
        self.group = group
        self.topics = tuple(topics)
        self.wake = asyncio.Event()
        self.interval = 0.25
        self._bus = bus
        self._consumer: AIOKafkaConsumer | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self._buffer: deque[tuple[TopicPartition, Delivered]] = deque()
        self._next: dict[TopicPartition, int] = {}
        self._first: dict[TopicPartition, int] = {}
        self._uncommitted: dict[TopicPartition, int] = {}
        self._fenced = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def poll(self, *, limit: int = 500, timeout: float = 0.0) -> list[Delivered]:
        self._idle.set()
        self._fenced = False
        started = time.monotonic()
        consumer = await self._joined()
        while True:
            self.wake.clear()
            if records := self._take(limit):
                self._fetch_on(consumer, limit)
                return records
            await self._look(consumer, limit)
            if self._buffer:
                continue
            left = started + timeout - time.monotonic()
            if left <= 0:
                if not await self._is_promised(consumer):
                    return []
                if time.monotonic() > started + timeout + PROMISE_SECONDS:
                    self._bus.ends.clear()
                    return []
                left = 0.1
            if self._fetching is not None:
                await asyncio.wait([self._fetching], timeout=left)

    async def commit(self) -> None:
        fenced, self._fenced = self._fenced, False
        try:
            if fenced:
                raise FencedError(f"group {self.group}: the partitions were given away before the commit")
            if self._uncommitted and self._consumer is not None:
                await self._send_offsets(self._consumer)
        finally:
            self._idle.set()

    async def rewind(self) -> None:
        self._go_back()
        self._fenced = False
        self._idle.set()

    async def seek(self, topic: str, partition: int, offset: int) -> None:
        consumer = await self._joined()
        place = TopicPartition(self._bus.prefix + topic, partition)
        if place not in consumer.assignment():
            raise BusError(f"group {self.group}: {topic}/{partition} is not read by this member")
        first = (await self._bus.cluster.starts([place]))[place]
        end = (await self._bus.cluster.ends([place]))[place]
        before = await self._position(consumer, place)
        target = min(max(offset, first), end)
        self._go_to(place, target)
        self._first.setdefault(place, before)
        self._uncommitted[place] = target

    async def assignment(self) -> set[Position]:
        if self._consumer is None:
            return set()
        return {(self._name(place), place.partition) for place in self._consumer.assignment()}

    async def backlog(self) -> int:
        if self._consumer is None or not self._consumer.assignment():
            return 0
        places = list(self._consumer.assignment())
        ends = await self._bus.cluster.ends(places)
        positions = {place: await self._position(self._consumer, place) for place in places}
        return sum(max(ends[place] - position, 0) for place, position in positions.items())

    async def close(self) -> None:
        self._bus.subscriptions.discard(self)
        await self._leave()

    async def _leave(self) -> None:
        self._idle.set()
        consumer, self._consumer = self._consumer, None
        fetching, self._fetching = self._fetching, None
        if fetching is not None:
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)
        if consumer is not None:
            await put_down(consumer)
        self._forget()
        self._fenced = False

    def nudge(self, places: Iterable[TopicPartition]) -> None:
        """This process published to these partitions."""
        topics = {self._bus.prefix + topic for topic in self.topics}
        if any(place.topic in topics for place in places):
            self.wake.set()

    async def on_partitions_revoked(self, _revoked: Iterable[TopicPartition]) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), DRAIN_SECONDS)
        self._fenced = not self._idle.is_set()
        self._forget()

    def on_partitions_assigned(self, _assigned: Iterable[TopicPartition]) -> None:
        self.wake.set()

    async def _joined(self) -> AIOKafkaConsumer:
        if self._consumer is not None and self._failure is None:
            return self._consumer
        failure, self._failure = self._failure, None
        await self._leave()
        if failure is not None:
            raise BusError(f"Kafka, group {self.group}: {type(failure).__name__}: {failure}") from failure
        for topic in self.topics:
            await self._bus.partitions(topic)
        consumer = AIOKafkaConsumer(
            **self._bus.settings,
            group_id=self._bus.prefix + self.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=2 * MAX_RECORD_BYTES,
            # A fetch under way holds back its broker's other partitions for so long.
            fetch_max_wait_ms=50,
            session_timeout_ms=15_000,
            heartbeat_interval_ms=1_000,
            rebalance_timeout_ms=30_000,
        )
        consumer.subscribe([self._bus.prefix + topic for topic in self.topics], listener=self)
        await start(consumer, f"group {self.group}, join", JOIN_SECONDS)
        self._consumer = consumer
        self._bus.subscriptions.add(self)
        return consumer

    async def _send_offsets(self, consumer: AIOKafkaConsumer) -> None:
        with bus_errors(f"group {self.group}, commit"):
            try:
                # Bounded, for aiokafka tries again for ever while the broker is away.
                await asyncio.wait_for(consumer.commit(self._uncommitted), COMMIT_SECONDS)
            except (CommitFailedError, IllegalStateError) as error:
                self._go_back()
                raise FencedError(f"group {self.group}: {error}") from error
        self._uncommitted.clear()
        self._first.clear()

    async def _look(self, consumer: AIOKafkaConsumer, limit: int) -> None:
        """Keeps a fetch under way, and lets one whose answer is here already finish."""
        if self._failure is not None:
            await self._joined()
        self._fetch_on(consumer, limit)
        for _ in range(2):
            await asyncio.sleep(0)

    def _fetch_on(self, consumer: AIOKafkaConsumer, limit: int) -> None:
        """The next records are read while those handed out are waiting for the database."""
        if not self._buffer and (self._fetching is None or self._fetching.done()):
            self._fetching = asyncio.create_task(self._fetch(consumer, limit))

    async def _fetch(self, consumer: AIOKafkaConsumer, limit: int) -> None:
        try:
            found = await consumer.getmany(timeout_ms=FETCH_SECONDS * 1000, max_records=limit)
        except Exception as error:
            # Told by the next poll, which also joins anew.
            self._failure = error
            self.wake.set()
            return
        for place, records in found.items():
            self._next.setdefault(place, records[0].offset)
            self._buffer.extend((place, self._read(record)) for record in records)
        if found:
            self.wake.set()

    def _take(self, limit: int) -> list[Delivered]:
        taken: list[Delivered] = []
        while self._buffer and len(taken) < limit:
            place, record = self._buffer.popleft()
            self._first.setdefault(place, record.offset)
            self._next[place] = self._uncommitted[place] = record.offset + 1
            taken.append(record)
        if taken:
            self._idle.clear()
        return taken

    def _read(self, record: ConsumerRecord[Any, Any]) -> Delivered:
        # A key another producer wrote may be anything; the tables it may end up in are text.
        key = (record.key or b"").decode("utf-8", "backslashreplace").replace("\0", "\\0")
        headers: Headers = [(name, value or b"") for name, value in record.headers]
        return Delivered.read(
            record.topic[len(self._bus.prefix) :], record.partition, record.offset, key, record.value or b"", headers
        )

    async def _is_promised(self, consumer: AIOKafkaConsumer) -> bool:
        """True when this process has published what this member has not read yet."""
        ends, assigned = self._bus.ends, consumer.assignment()
        for place in assigned & ends.keys():
            if await self._position(consumer, place) < ends[place]:
                return True
        return False

    async def _position(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
        """The next offset this member hands out."""
        if place not in self._next:
            with bus_errors(f"group {self.group}, position"):
                try:
                    position: int = await asyncio.wait_for(consumer.position(place), PROMISE_SECONDS)
                except IllegalStateError:
                    return NOT_OURS
            self._next.setdefault(place, position)
        return self._next[place]

    def _go_to(self, place: TopicPartition, offset: int) -> None:
        self._buffer = deque(entry for entry in self._buffer if entry[0] != place)
        if self._consumer is not None:
            with suppress(IllegalStateError):
                self._consumer.seek(place, offset)
                self._next[place] = offset

    def _go_back(self) -> None:
        """To the first record that was handed out and not committed, in every partition: none may pass it."""
        for place, offset in self._first.items():
            self._go_to(place, offset)
        self._first.clear()
        self._uncommitted.clear()

    def _forget(self) -> None:
        self._buffer.clear()
        self._next.clear()
        self._first.clear()
        self._uncommitted.clear()

    def _name(self, place: TopicPartition) -> str:
        name: str = place.topic[len(self._bus.prefix) :]
        return name
