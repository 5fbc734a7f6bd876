"""How Kafka is reached: settings from the URL, errors as BusError, and the questions asked of the cluster."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from remit_events.bus import MAX_RECORD_BYTES, BusError
from remit_events.catalogue import Topic

# aiokafka retries many things for ever; nothing here waits longer than these, in seconds.
ASK_SECONDS = 20
READY_SECONDS = 30
STOP_SECONDS = 10
ALREADY_EXISTS = 36

# It logs an error for each of the ten retries a second while a broker is away; what matters comes as BusError.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def settings_of(url: str) -> dict[str, Any]:
    """aiokafka's client settings of `kafka://[user:password@]host:port[,host:port][?security_protocol=SASL_SSL]`.

    Further query fields: sasl_mechanism (SCRAM-SHA-512 unless given). Raises ValueError for others.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    credentials, _, hosts = parts.netloc.rpartition("@")
    settings: dict[str, Any] = {"bootstrap_servers": hosts.split(",") if hosts else ["127.0.0.1:9092"]}
    settings["security_protocol"] = query.pop("security_protocol", "SASL_SSL" if credentials else "PLAINTEXT")
    if settings["security_protocol"].endswith("SSL"):
        settings["ssl_context"] = ssl.create_default_context()
    if credentials:
        user, _, password = credentials.partition(":")
        settings["sasl_mechanism"] = query.pop("sasl_mechanism", "SCRAM-SHA-512")
        settings["sasl_plain_username"], settings["sasl_plain_password"] = unquote(user), unquote(password)
    if query:
        raise ValueError(f"EVENTS_URL: {min(query)!r} is no setting of the Kafka transport")
    return settings


@contextmanager
def bus_errors(doing: str) -> Iterator[None]:
    """Whatever aiokafka, the network or a time limit says becomes a BusError."""
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise BusError(f"Kafka, {doing}: {type(error).__name__}: {error}") from error


async def quietly(stop: Callable[[], Awaitable[Any]]) -> None:
    """Stops a client within bounds; one that hangs or fails is left behind."""
    with suppress(KafkaError, OSError, TimeoutError):
        await asyncio.wait_for(stop(), STOP_SECONDS)


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
            await quietly(admin.close)
        if observer is not None:
            await quietly(observer.stop)

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
                await _start(admin.start, admin.close)
                self._admin = admin
            return self._admin

    async def _open_observer(self) -> AIOKafkaConsumer:
        """A consumer of no group, for only consumers can ask for offsets."""
        async with self._opening:
            if self._observer is None:
                observer = AIOKafkaConsumer(**self._settings, request_timeout_ms=10_000)
                await _start(observer.start, observer.stop)
                self._observer = observer
            return self._observer


async def _start(start: Callable[[], Awaitable[Any]], stop: Callable[[], Awaitable[Any]]) -> None:
    try:
        with bus_errors("connect"):
            await asyncio.wait_for(start(), ASK_SECONDS)
    except BaseException:
        await quietly(stop)
        raise


def _new(topic: Topic, prefix: str) -> NewTopic:
    # The broker's own clock decides retention: events of a time-lapse carry times of long ago.
    configs = {
        "retention.ms": str(int(topic.retention.total_seconds() * 1000)),
        "max.message.bytes": str(MAX_RECORD_BYTES + 1024),
        "message.timestamp.type": "LogAppendTime",
    }
    return NewTopic(prefix + topic.name, topic.partitions, -1, replica_assignments={}, topic_configs=configs)
