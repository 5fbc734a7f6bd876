"""A member of a consumer group on the PostgreSQL transport.

Membership and partitions are session-level advisory locks on the member's own connection: what a dead member held is
free at once, and a commit on that connection proves that its partitions are still its own.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from remit_events import postgres_log as sql
from remit_events.bus import BusError, Delivered, FencedError, Position
from remit_events.driver import Connection

if TYPE_CHECKING:
    from remit_events.postgres_bus import PostgresBus

# How often a member looks again though nothing woke it, in seconds: for records, of which every append tells it, and
# for members, of which one that died tells nobody.
POLL_SECONDS = 5.0
MEMBERS_SECONDS = 1.0
HANDOVER_SECONDS = 0.05
# What one poll reads, about: bounds memory.
FETCH_BYTES = 16_000_000

Slot = tuple[int, int]  # the topic's number, partition


class PostgresSubscription:
    """See bus.Subscription."""

    def __init__(self, bus: PostgresBus, group: str, topics: Sequence[str]) -> None:
        self.group = group
        self.topics = tuple(topics)
        self.wake = asyncio.Event()
        self.interval = MEMBERS_SECONDS
        self._bus = bus
        self._connection: asyncpg.Connection | None = None
        self._member = secrets.randbelow(2**31)
        self._group_id = 0
        self._names: dict[int, str] = {}
        self._slots: list[Slot] = []
        self._next: dict[Slot, int] = {}
        self._uncommitted: dict[Slot, int] = {}
        self._turn = 0
        self._news = True
        self._fetch_due = 0.0
        self._members_due = 0.0

    async def poll(self, *, limit: int = 500, timeout: float = 0.0) -> list[Delivered]:
        deadline = time.monotonic() + timeout
        while True:
            self.wake.clear()
            with self._guarded("poll"):
                connection = await self._joined()
                if time.monotonic() >= self._members_due:
                    await self._rebalance(connection)
                if records := await self._fetch(connection, limit):
                    return records
            left = deadline - time.monotonic()
            if left <= 0:
                return []
            pause = max(min(left, self._fetch_due - time.monotonic(), self._members_due - time.monotonic()), 0.001)
            try:
                await asyncio.wait_for(self.wake.wait(), pause)
            except TimeoutError:
                continue

    async def commit(self) -> None:
        if not self._uncommitted:
            return
        if self._connection is None or self._connection.is_closed():
            self._drop()
            raise FencedError(f"group {self.group}: the connection was lost before the commit")
        with self._guarded("commit"):
            await self._connection.execute(
                sql.COMMIT, self._group_id, *_columns(self._uncommitted), list(self._uncommitted.values())
            )
        self._uncommitted.clear()

    async def rewind(self) -> None:
        self._uncommitted.clear()
        if self._connection is None or self._connection.is_closed():
            self._drop()
            return
        with self._guarded("rewind"):
            await self._load(self._connection, self._next)

    async def seek(self, topic: str, partition: int, offset: int) -> None:
        with self._guarded("seek"):
            connection = await self._joined()
            slot = ((await self._bus.topic(topic)).id, partition)
            if slot not in self._next:
                await self._rebalance(connection)
            bounds = await connection.fetchrow(sql.BOUNDS, *slot)
        if slot not in self._next:
            raise BusError(f"group {self.group}: {topic}/{partition} is not read by this member")
        self._next[slot] = self._uncommitted[slot] = min(max(offset, bounds[0]), bounds[1])
        self._news = True

    async def assignment(self) -> set[Position]:
        return {(self._names[topic], partition) for topic, partition in self._next}

    async def backlog(self) -> int:
        ends = await self._bus.end_offsets(self.topics)
        return sum(ends[self._names[slot[0]], slot[1]] - next_ for slot, next_ in self._next.items())

    async def close(self) -> None:
        self._bus.subscriptions.discard(self)
        connection, self._connection = self._connection, None
        self._next.clear()
        if connection is not None and not connection.is_closed():
            try:
                # Unlocked before the others are told, or they would look too early.
                await connection.execute("SELECT pg_advisory_unlock_all()", timeout=5)
                await connection.execute("SELECT pg_notify($1, $2)", sql.CHANNEL, f"group:{self._group_id}", timeout=5)
                await connection.close(timeout=5)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                connection.terminate()

    def nudge(self, topics: Iterable[int]) -> None:
        """Somebody published to these topics."""
        if not self._names or not self._names.keys().isdisjoint(topics):
            self._news = True
            self.wake.set()

    def _notified(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        sender, _, numbers = payload.partition(":")
        if sender == "group":
            if int(numbers) == self._group_id:
                self._members_due = 0.0
                self.wake.set()
        elif sender != self._bus.origin:
            self.nudge(int(number) for number in numbers.split(","))

    async def _joined(self) -> asyncpg.Connection:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        self._drop()
        stored = [await self._bus.topic(name) for name in self.topics]
        self._names = {topic.id: name for topic, name in zip(stored, self.topics, strict=True)}
        self._slots = [(topic.id, partition) for topic in stored for partition in range(topic.partitions)]
        # An offset lost in a crash is read again, which the inbox makes harmless: no need to wait for the disk.
        connection = await asyncpg.connect(
            self._bus.dsn,
            timeout=10,
            command_timeout=30,
            server_settings={"synchronous_commit": "off"},
            connection_class=Connection,
        )
        self._connection = connection
        self._bus.subscriptions.add(self)
        self._group_id = await connection.fetchval(sql.GROUP, self._bus.prefix + self.group)
        await connection.add_listener(sql.CHANNEL, self._notified)
        await connection.execute("SELECT pg_advisory_lock($1, $2)", sql.MEMBER + self._group_id, self._member)
        await connection.execute("SELECT pg_notify($1, $2)", sql.CHANNEL, f"group:{self._group_id}")
        return connection

    async def _rebalance(self, connection: asyncpg.Connection) -> None:
        """Gives back what belongs to others by now and takes what is this member's and free."""
        self._members_due = time.monotonic() + MEMBERS_SECONDS
        members = [row["member"] for row in await connection.fetch(sql.MEMBERS, sql.MEMBER + self._group_id)]
        place = members.index(self._member)
        mine = set(self._slots[place :: len(members)])
        if surplus := [slot for slot in self._next if slot not in mine]:
            for slot in surplus:
                del self._next[slot]
                self._uncommitted.pop(slot, None)
            await connection.execute(sql.RELEASE, sql.OWNER + self._group_id, *_columns(surplus))
            await connection.execute("SELECT pg_notify($1, $2)", sql.CHANNEL, f"group:{self._group_id}")
        if missing := sorted(mine - self._next.keys()):
            rows = await connection.fetch(sql.TAKE, sql.OWNER + self._group_id, *_columns(missing))
            await self._load(connection, [(row["topic_id"], row["partition"]) for row in rows])
        if len(self._next) < len(mine):
            self._members_due = time.monotonic() + HANDOVER_SECONDS

    async def _load(self, connection: asyncpg.Connection, slots: Iterable[Slot]) -> None:
        rows = await connection.fetch(sql.COMMITTED, self._group_id, *_columns(slots))
        self._next.update({(row["topic_id"], row["partition"]): row["next"] for row in rows})
        self._news = True

    async def _fetch(self, connection: asyncpg.Connection, limit: int) -> list[Delivered]:
        if not self._next or not (self._news or time.monotonic() >= self._fetch_due):
            return []
        self._news = False
        # Each poll starts at another partition, so that a long backlog in one does not starve the rest.
        order = sorted(self._next)
        self._turn = (self._turn + 1) % len(order)
        order = order[self._turn :] + order[: self._turn]
        places = [self._next[slot] for slot in order]
        rows = await connection.fetch(sql.FETCH, *_columns(order), places, limit, FETCH_BYTES)
        self._fetch_due = time.monotonic() + POLL_SECONDS
        self._news = self._news or len(rows) == limit or sum(len(row["value"]) for row in rows) >= FETCH_BYTES
        for topic, partition, offset, *_ in rows:
            self._next[topic, partition] = self._uncommitted[topic, partition] = offset + 1
        return [
            Delivered.read(self._names[topic], partition, offset, key, value, sql.unpack(headers))
            for topic, partition, offset, key, value, headers in rows
        ]

    @contextmanager
    def _guarded(self, doing: str) -> Iterator[None]:
        """A call that fails or is cancelled half way gives up the connection, and with it every lock."""
        try:
            with sql.bus_errors(f"group {self.group}, {doing}"):
                yield
        except BaseException:
            self._drop()
            raise

    def _drop(self) -> None:
        """Forgets a lost connection; the next poll joins again."""
        if self._connection is not None and not self._connection.is_closed():
            self._connection.terminate()
        self._connection = None
        self._next.clear()
        self._uncommitted.clear()
        self._members_due = 0.0


def _columns(slots: Iterable[Slot]) -> tuple[list[int], list[int]]:
    listed = list(slots)
    return [topic for topic, _ in listed], [partition for _, partition in listed]
