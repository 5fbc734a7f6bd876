"""The Kafka transport: idempotent batches, one in flight per partition, every wait bounded."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    InvalidMessageError,
    InvalidTimestampError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)
from aiokafka.producer.message_accumulator import BatchBuilder

from remit_events.bus import (
    BEHIND,
    MAX_RECORD_BYTES,
    BusError,
    Position,
    Record,
    partition_of,
    partitions_differ,
    screen,
)
from remit_events.catalogue import TOPICS, Topic
from remit_events.kafka_client import bus_errors, put_down, settings_of, start
from remit_events.kafka_cluster import KafkaCluster
from remit_events.kafka_group import KafkaSubscription

SEND_SECONDS = 30
# Well below what a topic takes, so that only a single record can be too large for it.
BATCH_BYTES = 262_144

# A body so much smaller than a record may be is not weighed with its headers: were those huge, the broker says so.
SMALL_BYTES = MAX_RECORD_BYTES // 2
MANY_HEADERS = 20

REFUSALS = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidMessageError, InvalidTimestampError)

Batch = list[int]  # places in the list that is being published


class KafkaBus:
    """Bus over a Kafka cluster; `prefix` stands before every topic and group there."""

    def __init__(self, url: str, *, prefix: str = "") -> None:
        self.settings = settings_of(url)
        self.prefix = prefix
        self.cluster = KafkaCluster(self.settings)
        # Behind the last record this process has published, as acknowledged: what its own members can wait for.
        self.ends: dict[TopicPartition, int] = {}
        self._producer: AIOKafkaProducer | None = None
        self._opening = asyncio.Lock()
        self._partitions: dict[str, int] = {}
        self.subscriptions: set[KafkaSubscription] = set()

    async def publish(self, records: Sequence[Record]) -> list[str | None]:
        refusals = screen(records, _refusal)
        counts = {topic: await self.partitions(topic) for topic in {record.topic for record in records}}
        places: dict[TopicPartition, Batch] = defaultdict(list)
        for n, record in enumerate(records):
            if refusals[n] is None:
                partition = partition_of(record.key, counts[record.topic])
                places[TopicPartition(self.prefix + record.topic, partition)].append(n)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                with bus_errors("publish"):
                    await self._publish(records, places, refusals)
        except (BusError, TimeoutError) as error:
            # A producer that hangs does not recover by itself (aiokafka issue 1101): the next one starts afresh.
            await self._drop_producer()
            raise error if isinstance(error, BusError) else BusError("Kafka, publish: no answer in time") from error
        for subscription in self.subscriptions:
            subscription.nudge(places)
        return refusals

    async def _publish(
        self, records: Sequence[Record], places: dict[TopicPartition, Batch], refusals: list[str | None]
    ) -> None:
        producer = await self._open_producer()
        sending = [self._send_partition(producer, place, records, batch) for place, batch in places.items()]
        rest = await asyncio.gather(*sending, return_exceptions=True)
        for outcome in rest:
            if isinstance(outcome, BaseException):
                raise outcome
        for place, batch in zip(places, rest, strict=True):
            if isinstance(batch, list) and batch:
                await self._send_singly(place, records, batch, refusals)

    async def _send_partition(
        self, producer: AIOKafkaProducer, place: TopicPartition, records: Sequence[Record], batch: Batch
    ) -> Batch:
        """One batch after the other, each acknowledged before the next; what is left once the broker refused one."""
        sent = 0
        for builder in _build(producer, records, batch):
            try:
                acknowledged = await (await producer.send_batch(builder, place.topic, partition=place.partition))
            except REFUSALS:
                return batch[sent:]
            self._acknowledge(place, acknowledged.offset, builder.record_count())
            sent += builder.record_count()
        return []

    async def _send_singly(
        self, place: TopicPartition, records: Sequence[Record], batch: Batch, refusals: list[str | None]
    ) -> None:
        """Finds which records the broker refuses; later ones of their keys stay behind.

        A refusal leaves a gap in an idempotent producer's sequence, so that it must be replaced.
        """
        stuck: set[str] = set()
        await self._drop_producer()
        for n in batch:
            if records[n].key in stuck:
                refusals[n] = BEHIND
                continue
            producer = await self._open_producer()
            (builder,) = _build(producer, records, [n])
            try:
                acknowledged = await (await producer.send_batch(builder, place.topic, partition=place.partition))
            except REFUSALS as error:
                refusals[n] = f"refused by the broker: {type(error).__name__}"
                stuck.add(records[n].key)
                await self._drop_producer()
            else:
                self._acknowledge(place, acknowledged.offset, 1)

    def _acknowledge(self, place: TopicPartition, offset: int, size: int) -> None:
        # -1: the broker had it already and does not remember where.
        if offset >= 0:
            self.ends[place] = max(self.ends.get(place, 0), offset + size)

    def subscription(self, group: str, topics: Sequence[str]) -> KafkaSubscription:
        subscription = KafkaSubscription(self, group, topics)
        self.subscriptions.add(subscription)
        return subscription

    async def ensure_topics(self, topics: Sequence[Topic] = TOPICS) -> None:
        there = await self.cluster.partitions()
        for topic in topics:
            name = self.prefix + topic.name
            if there.get(name, topic.partitions) != topic.partitions:
                raise BusError(partitions_differ(name, there[name], topic.partitions))
        if missing := [topic for topic in topics if self.prefix + topic.name not in there]:
            await self.cluster.create(missing, self.prefix)

    async def partitions(self, topic: str) -> int:
        """How many a topic has. Raises BusError when there is none of that name."""
        name = self.prefix + topic
        if name not in self._partitions:
            self._partitions = await self.cluster.partitions()
        if name not in self._partitions:
            raise BusError(f"topic {name} does not exist; create the topics first")
        return self._partitions[name]

    async def places(self, topics: Sequence[str]) -> list[TopicPartition]:
        """All partitions of topics, by their names on the cluster."""
        return [TopicPartition(self.prefix + topic, n) for topic in topics for n in range(await self.partitions(topic))]

    async def end_offsets(self, topics: Sequence[str]) -> dict[Position, int]:
        ends = await self.cluster.ends(await self.places(topics))
        return {(place.topic[len(self.prefix) :], place.partition): end for place, end in ends.items()}

    async def lag(self, group: str, topics: Sequence[str]) -> int:
        places = await self.places(topics)
        ends, starts = await self.cluster.ends(places), await self.cluster.starts(places)
        committed = await self.cluster.committed(self.prefix + group, places)
        return sum(max(ends[place] - max(committed.get(place, -1), starts[place]), 0) for place in places)

    async def check(self) -> None:
        await self.cluster.check()

    async def prune(self) -> int:
        return 0  # the broker does, by the topics' retention

    async def close(self) -> None:
        for subscription in list(self.subscriptions):
            await subscription.close()
        await self._drop_producer()
        await self.cluster.close()

    async def _open_producer(self) -> AIOKafkaProducer:
        async with self._opening:
            if self._producer is None:
                # No linger: the relay's batches are built here, whole.
                producer = AIOKafkaProducer(
                    **self.settings,
                    acks="all",
                    enable_idempotence=True,
                    max_batch_size=BATCH_BYTES,
                    max_request_size=MAX_RECORD_BYTES + 1024,
                    request_timeout_ms=10_000,
                )
                await start(producer, "connect", SEND_SECONDS)
                self._producer = producer
            return self._producer

    async def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await put_down(producer)


def _build(producer: AIOKafkaProducer, records: Sequence[Record], batch: Batch) -> Iterator[BatchBuilder]:
    builder = producer.create_batch()
    for n in batch:
        fields = {"key": records[n].key.encode(), "value": records[n].value, "headers": records[n].headers}
        if builder.append(timestamp=None, **fields) is None:
            yield builder
            builder = producer.create_batch()
            builder.append(timestamp=None, **fields)
    builder.close()
    yield builder


def _refusal(record: Record) -> str | None:
    if len(record.value) < SMALL_BYTES and len(record.headers) < MANY_HEADERS:
        return None
    if record.size() > MAX_RECORD_BYTES:
        return f"record of {record.size()} bytes is larger than {MAX_RECORD_BYTES}"
    return None
