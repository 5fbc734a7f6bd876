"""The questions asked of a Kafka cluster: topics, ends, and what groups have committed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from remit_events.bus import MAX_RECORD_BYTES, BusError
from remit_events.catalogue import Topic
from remit_events.kafka_client import bus_errors, put_down, start

# aiokafka retries many things for ever; nothing here waits longer than these, in seconds.
ASK_SECONDS = 20
READY_SECONDS = 30
ALREADY_EXISTS = 36


class KafkaCluster:
    """Topics, ends and what groups have committed, by the names on the cluster."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._admin: AIOKafkaAdminClient | None = None
        self._observer: AIOKafkaConsumer | None = None
        self._opening = asyncio.Lock()

    async def check(self) -> None:
        admin = await self._open_admin()
        with bus_errors("health check"):
            await asyncio.wait_for(admin.describe_cluster(), 5)

    async def partitions(self) -> dict[str, int]:
        """How many partitions every topic has. (Asking for one by name could create it.)"""
        admin = await self._open_admin()
        with bus_errors("read topics"):
            described = await asyncio.wait_for(admin.describe_topics(), ASK_SECONDS)
        return {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}

    async def create(self, topics: Sequence[Topic], prefix: str) -> set[str]:
        """Creates topics and returns when each partition has a leader; gives the names that were not there before."""
        admin = await self._open_admin()
        with bus_errors("create topics"):
            answer = await asyncio.wait_for(admin.create_topics([_new(topic, prefix) for topic in topics]), ASK_SECONDS)
            for name, code, *_ in answer.topic_errors:
                if code not in (0, ALREADY_EXISTS):
                    raise BusError(f"Kafka, create topic {name}: {for_code(code).__name__}")
            async with asyncio.timeout(READY_SECONDS):
                names = {prefix + topic.name for topic in topics}
                while not await self._led(admin, names):  # noqa: ASYNC110  the cluster tells nobody
                    await asyncio.sleep(0.05)
        return {name for name, code, *_ in answer.topic_errors if code == 0}

    async def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        observer = await self._open_observer()
        with bus_errors("read ends"):
            found: dict[TopicPartition, int] = await asyncio.wait_for(
                observer.end_offsets(list(partitions)), ASK_SECONDS
            )
        return found

    async def starts(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        observer = await self._open_observer()
        with bus_errors("read starts"):
            found: dict[TopicPartition, int] = await asyncio.wait_for(
                observer.beginning_offsets(list(partitions)), ASK_SECONDS
            )
        return found

    async def committed(self, group: str, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """-1 where the group has committed nothing."""
        admin = await self._open_admin()
        with bus_errors("read group offsets"):
            async with asyncio.timeout(ASK_SECONDS):
                while True:
                    try:
                        found = await admin.list_consumer_group_offsets(group, partitions=list(partitions))
                    except KafkaError as error:
                        # Just after a start the coordinator is not there yet.
                        if not error.retriable and "Coordinator" not in type(error).__name__:
                            raise
                        await asyncio.sleep(0.1)
                    else:
                        return {place: at.offset for place, at in found.items()}

    async def close(self) -> None:
        admin, self._admin = self._admin, None
        observer, self._observer = self._observer, None
        if admin is not None:
            await put_down(admin)
        if observer is not None:
            await put_down(observer)

    async def _led(self, admin: AIOKafkaAdminClient, names: set[str]) -> bool:
        described = [topic for topic in await admin.describe_topics() if topic["topic"] in names]
        return len(described) == len(names) and all(
            partition["leader"] >= 0 and not partition["error_code"]
            for topic in described
            for partition in topic["partitions"]
        )

    async def _open_admin(self) -> AIOKafkaAdminClient:
        async with self._opening:
            if self._admin is None:
                admin = AIOKafkaAdminClient(**self._settings, request_timeout_ms=10_000)
                await start(admin, "connect", ASK_SECONDS)
                self._admin = admin
            return self._admin

    async def _open_observer(self) -> AIOKafkaConsumer:
        """A consumer of no group, for only consumers can ask for offsets."""
        async with self._opening:
            if self._observer is None:
                observer = AIOKafkaConsumer(**self._settings, request_timeout_ms=10_000)
                await start(observer, "connect", ASK_SECONDS)
                self._observer = observer
            return self._observer


def _new(topic: Topic, prefix: str) -> NewTopic:
    # The broker's own clock decides retention: events of a time-lapse carry times of long ago.
    configs = {
        "retention.ms": str(int(topic.retention.total_seconds() * 1000)),
        "max.message.bytes": str(MAX_RECORD_BYTES + 1024),
        "message.timestamp.type": "LogAppendTime",
    }
    return NewTopic(prefix + topic.name, topic.partitions, -1, replica_assignments={}, topic_configs=configs)
