"""The narrow bus: what relay and consumers need of a transport, and the choice of one by URL."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from remit_events.catalogue import TOPICS, Topic
from remit_events.envelope import Event, Message

# A record may be 1 MB and its envelope; both transports refuse what is larger.
MAX_RECORD_BYTES = 1_310_720
BEHIND = "an earlier record of this key was refused"

Headers = list[tuple[str, bytes]]
Position = tuple[str, int]  # topic, partition


class BusError(Exception):
    """The transport did not do what was asked; nothing is known to be wrong with the records."""


class FencedError(BusError):
    """The partitions of a commit belong to another member by now; they will be delivered there again."""


class Record(NamedTuple):
    """What is published: order is kept per key within a topic."""

    topic: str
    key: str
    value: bytes
    headers: Headers

    @classmethod
    def of(cls, topic: str, message: Message) -> Record:
        return cls(topic, message.partition_key, message.data, message.headers())

    def size(self) -> int:
        """Bytes of the record, rounded up for framing."""
        size = len(self.key) + len(self.value) + 64
        for name, value in self.headers:
            size += len(name) + len(value) + 8
        return size


def screen(records: Sequence[Record], refuse: Callable[[Record], str | None]) -> list[str | None]:
    """Per record what `refuse` says of it, or BEHIND after a refused one of its key."""
    stuck: set[tuple[str, str]] = set()
    refusals: list[str | None] = []
    for record in records:
        reason = BEHIND if stuck and (record.topic, record.key) in stuck else refuse(record)
        if reason:
            stuck.add((record.topic, record.key))
        refusals.append(reason)
    return refusals


def partition_of(key: str, partitions: int) -> int:
    """The same on either transport, and as librdkafka's `consistent` partitioner says: CRC-32 of the key."""
    return zlib.crc32(key.encode()) % partitions


def partitions_differ(topic: str, there: int, wanted: int) -> str:
    """What ensure_topics() says on either transport."""
    return f"topic {topic} has {there} partitions, not {wanted}; a change would break the order per key"


class Delivered(NamedTuple):
    """A record as it came off the bus. `message` is None when its headers cannot be read; `failure` says why."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes
    headers: Headers
    message: Message | None
    failure: str | None = None

    @classmethod
    def read(cls, topic: str, partition: int, offset: int, key: str, value: bytes, headers: Headers) -> Delivered:
        """Never raises: what cannot be read becomes `failure`."""
        try:
            message, failure = Message.from_headers(headers, value), None
        except (KeyError, ValueError) as error:
            message, failure = None, f"{type(error).__name__}: {error}"
        return cls(topic, partition, offset, key, value, headers, message, failure)


class Received(NamedTuple):
    """An event as a handler gets it: readable, and new to this consumer."""

    message: Message
    event: Event
    topic: str
    partition: int
    offset: int


class Subscription(Protocol):
    """One member of a consumer group. Reads from the group's committed offsets, else from the earliest record.

    Used by one task at a time. `wake` is set when there may be something to poll.
    """

    group: str
    wake: asyncio.Event
    # Seconds between looks when nothing wakes.
    interval: float

    async def poll(self, *, limit: int = 500, timeout: float = 0.0) -> list[Delivered]:
        """Up to `limit` records in order per partition; waits up to `timeout` seconds for the first.

        With timeout 0 nothing is waited for but what this process has published to the member's own partitions:
        no records means that all of that was returned.
        """
        ...

    async def commit(self) -> None:
        """Commits behind the last record of every poll. Raises FencedError when partitions were lost meanwhile."""
        ...

    async def rewind(self) -> None:
        """Back to the committed offsets: what was polled since is delivered again."""
        ...

    async def seek(self, topic: str, partition: int, offset: int) -> None:
        """Reads on from `offset` (clamped to what is retained); takes effect for the group with the next commit."""
        ...

    async def assignment(self) -> set[Position]:
        """The partitions this member reads now."""
        ...

    async def backlog(self) -> int:
        """How many records lie ahead in the partitions this member reads, as the transport says (not a cached view)."""
        ...

    async def close(self) -> None:
        """Leaves the group; uncommitted records go to the other members."""
        ...


class Bus(Protocol):
    """A transport: durable, ordered per key, at least once."""

    async def publish(self, records: Sequence[Record]) -> list[str | None]:
        """Returns once every record is durable; per record None, or why it was refused for good.

        Behind a refused record those of the same key are refused too (BEHIND).

        Raises BusError when the transport failed: then any of the records may or may not be on it.
        """
        ...

    def subscription(self, group: str, topics: Sequence[str]) -> Subscription:
        """A new member of `group`; it joins with its first poll."""
        ...

    async def ensure_topics(self, topics: Sequence[Topic] = TOPICS) -> None:
        """Creates what is missing. Raises BusError when a topic exists with another number of partitions."""
        ...

    async def end_offsets(self, topics: Sequence[str]) -> dict[Position, int]:
        """Per partition the offset the next record will get."""
        ...

    async def lag(self, group: str, topics: Sequence[str]) -> int:
        """How many retained records the group has not committed; exact when nobody publishes meanwhile."""
        ...

    async def check(self) -> None:
        """Raises BusError when the transport cannot be reached."""
        ...

    async def prune(self) -> int:
        """Drops records beyond their topic's retention where the transport does not do so itself; how many."""
        ...

    async def close(self) -> None: ...


def open_bus(url: str, *, prefix: str = "") -> Bus:
    """The transport of `url`: `kafka://host:port[,host:port]` or `postgresql://…`; nothing is connected yet.

    `prefix` stands before every topic and group name on the transport. Raises ValueError for another scheme.
    """
    scheme = url.partition("://")[0].partition("+")[0]
    if scheme == "kafka":
        from remit_events.kafka_bus import KafkaBus

        return KafkaBus(url, prefix=prefix)
    if scheme in ("postgresql", "postgres"):
        from remit_events.postgres_bus import PostgresBus

        return PostgresBus(url, prefix=prefix)
    raise ValueError(f"EVENTS_URL: {scheme!r} is no transport; use kafka://host:port or postgresql://…")
