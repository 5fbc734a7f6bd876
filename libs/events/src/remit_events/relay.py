"""Outbox to bus: in the order of the outbox per key, however many relays run.

A relay publishes only shards whose session-level advisory lock its own connection holds, and reads and marks on that
very connection: a lost connection ends its right to go on before another relay can begin. Relays share the shards
evenly: each shows by a lock of its own that it is there, and gives back, between two batches, what is beyond its part.
A commit wakes the relay of its process, and that one, when it has not all shards, those of the other processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Iterable, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from remit_events import faults
from remit_events.bus import BEHIND, Bus
from remit_events.delivery_metrics import OUTBOX_AGE, PUBLISHED, REFUSED
from remit_events.outbox import to_record
from remit_events.ports import Clock, Database
from remit_events.tables import SHARDS

RELAY_LOCK = 0x5245_4C41
MEMBER_LOCK = 0x5245_4C4D
LOCK_SECONDS = 1.0
WOKEN = "remit_outbox"
# After so many batches run() returns, so that its loop can look whether it is to stop.
ROUNDS = 20
# What one batch reads, about: bounds memory, as there are two of them at a time.
BATCH_BYTES = 16_000_000

# A row's id and why it was refused.
Marked = tuple[int, str | None]

# LIMIT ends the scan, so that no lock is taken beyond it.
_LOCK = "SELECT s FROM unnest($2::int[]) AS s WHERE pg_try_advisory_lock($1, s) LIMIT $3"
_UNLOCK = "SELECT pg_advisory_unlock($1, s) FROM unnest($2::int[]) AS s"
_WAKE = "SELECT pg_notify($1, '')"

_RELAYS = """
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND classid = $1::bigint AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

# Unpublished rows, never for good "id > cursor": a row that committed late has a low id and must still be found. $4
# is zero but while a batch is on its way: then per shard the last id of that.
_READ = """
SELECT o.*, o.key IN (SELECT key FROM outbox WHERE published_at IS NULL AND refused_at IS NOT NULL) AS behind
FROM (
    SELECT u.*, sum(octet_length(u.payload)) OVER (ORDER BY u.id) AS bytes
    FROM unnest($1::smallint[], $4::bigint[]) AS s(shard, after)
    CROSS JOIN LATERAL (
        SELECT id, shard, event_id, aggregate_id, aggregate_version, topic, type, key, payload, time, traceparent
        FROM outbox
        WHERE shard = s.shard AND id > s.after AND published_at IS NULL AND refused_at IS NULL
        ORDER BY id LIMIT $2
    ) AS u
) AS o
WHERE o.bytes - octet_length(o.payload) < $3
ORDER BY o.id
"""

_MARK = """
UPDATE outbox o SET
    published_at = CASE WHEN g.error IS NULL THEN $3::timestamptz END,
    refused_at = CASE WHEN g.error IS NOT NULL THEN $3::timestamptz END,
    error = g.error
FROM unnest($1::bigint[], $2::text[]) AS g(id, error)
WHERE o.id = g.id
"""

log = structlog.get_logger(__name__)


class Relay:
    """The task that publishes a service's outbox; `source` is its CloudEvents source, such as `/invoice-svc`."""

    phase = 0
    # For what no commit of a living process told of: those of one that died, or that is none of the service's own.
    poll = 1.0

    def __init__(
        self,
        database: Database,
        bus: Bus,
        source: str,
        clock: Clock,
        *,
        shards: Iterable[int] = range(SHARDS),
        batch: int = 500,
    ) -> None:
        self.name = "relay"
        self.wake = asyncio.Event()
        self._database = database
        self._bus = bus
        self._source = source
        self._service = source.strip("/")
        self._clock = clock
        self._shards = tuple(shards)
        self._batch = batch
        self._connection: AsyncConnection | None = None
        self._driver: Any = None
        self._pid = 0
        self._held: list[int] = []
        self._written = self._committed = True
        self._look_at = 0.0
        self._lock_at = 0.0
        database.wakes.append(self._on_commit)

    async def run(self) -> int:
        """Publishes what is in the outbox; gives how many events. Raises what bus or database raise."""
        if not self._written and time.monotonic() < self._look_at:
            return 0
        try:
            await self._take_shards()
            await self._wake_others()
            return await self._batches() if self._held else 0
        except BaseException:
            if self._driver is not None:
                self._driver.terminate()
            await self.close()
            raise

    async def next_at(self) -> datetime | None:
        return None

    async def close(self) -> None:
        """Gives the shards and the connection back; the next run() takes them again."""
        connection, driver = self._connection, self._driver
        self._connection = self._driver = None
        self._held, self._lock_at = [], 0.0
        self._written = self._committed = True
        if driver is not None:
            # Closed for good, not returned to the pool: a pooled connection would keep the locks.
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InternalClientError, OSError, TimeoutError):
                await driver.close(timeout=2)
            driver.terminate()
        if connection is not None:
            await connection.invalidate()
            await connection.close()

    def _on_commit(self) -> None:
        self._written = self._committed = True
        self.wake.set()

    def _on_notice(self, _driver: Any, pid: int, _channel: str, _payload: str) -> None:
        """May come late, of a connection that was given up since, which can no more be asked whose it was."""
        if pid != self._pid:
            self._written = True
            self.wake.set()

    async def _wake_others(self) -> None:
        """After a commit in this process, as its events may lie in shards that are theirs."""
        if self._committed and len(self._held) < SHARDS:
            self._committed = False
            await self._driver.execute(_WAKE, WOKEN)

    async def _batches(self) -> int:
        """Batch after batch; while one is on its way the one before is marked and the next is read."""
        published, before = 0, list[Marked]()
        rows = await self._read(())
        for _ in range(ROUNDS):
            if not rows:
                break
            ahead: list[Any] = []
            faults.point(self._service, faults.AFTER_COMMIT)
            if before or self._is_full(rows):
                refusals, ahead = await _both(self._publish(rows), self._go_ahead(before, rows))
            else:
                refusals = await self._publish(rows)
            faults.point(self._service, faults.AFTER_PUBLISH)
            before = [(row["id"], refusal) for row, refusal in zip(rows, refusals, strict=True)]
            published += len(rows)
            rows = ahead
            if any(refusals):  # what was read ahead does not know that it is to stand behind
                break
        self._written = self._written or bool(rows)
        await self._mark(before)
        return published

    async def _go_ahead(self, before: Sequence[Marked], under_way: Sequence[Any]) -> list[Any]:
        await self._mark(before)
        await self._wake_others()
        return await self._read(under_way) if self._is_full(under_way) else []

    def _is_full(self, rows: Sequence[Any]) -> bool:
        """Nobody else publishes these shards, so less than a batch is all there is."""
        return len(rows) >= self._batch or bool(rows[-1]["bytes"] >= BATCH_BYTES)

    async def _read(self, under_way: Sequence[Any]) -> list[Any]:
        """The next batch; what is written from now on is looked for again."""
        self._written = False
        self._look_at = time.monotonic() + self.poll
        last = {row["shard"]: row["id"] for row in under_way}
        after = [last.get(shard, 0) for shard in self._held]
        rows: list[Any] = await self._driver.fetch(_READ, self._held, self._batch, BATCH_BYTES, after)
        self._observe_age(rows)
        return rows

    async def _mark(self, rows: Sequence[Marked]) -> None:
        if rows:
            ids, refusals = zip(*rows, strict=True)
            await self._driver.execute(_MARK, ids, refusals, self._clock.now())

    async def _publish(self, rows: Sequence[Any]) -> list[str | None]:
        """Per row None, or why it is parked instead."""
        going = [row for row in rows if not row["behind"]]
        answers = iter(await self._bus.publish([to_record(row, self._source) for row in going]))
        refusals = [BEHIND if row["behind"] else next(answers) for row in rows]
        for row, refusal in zip(rows, refusals, strict=True):
            if refusal is not None:
                log.error("event parked", service=self._service, event_id=str(row["event_id"]), reason=refusal)
        parked = len(rows) - refusals.count(None)
        PUBLISHED.labels(self._service).inc(len(rows) - parked)
        REFUSED.labels(self._service).inc(parked)
        return refusals

    async def _take_shards(self) -> None:
        """Opens the relay's connection; now and then tries for its part of the shards, or gives back what is beyond."""
        if self._connection is None:
            self._connection = await self._database.engine.connect()
            self._driver = (await self._connection.get_raw_connection()).driver_connection
            self._pid = self._driver.get_server_pid()
            # A mark lost in a crash only publishes again, which every inbox knows: no need to wait for the disk.
            await self._driver.execute("SET synchronous_commit = off")
            await self._driver.execute("SELECT pg_advisory_lock($1, pg_backend_pid())", MEMBER_LOCK)
            await self._driver.add_listener(WOKEN, self._on_notice)
        if time.monotonic() < self._lock_at:
            return
        self._lock_at = time.monotonic() + LOCK_SECONDS
        part = -(-len(self._shards) // max(await self._driver.fetchval(_RELAYS, MEMBER_LOCK), 1))
        if len(self._held) < part:
            missing = [shard for shard in self._shards if shard not in self._held]
            rows = await self._driver.fetch(_LOCK, RELAY_LOCK, missing, part - len(self._held))
            self._held += [row["s"] for row in rows]
        elif beyond := self._held[part:]:
            self._held = self._held[:part]
            await self._driver.execute(_UNLOCK, RELAY_LOCK, beyond)

    def _observe_age(self, rows: Sequence[Any]) -> None:
        oldest = min((row["time"] for row in rows), default=None)
        age = (self._clock.now() - oldest).total_seconds() if oldest else 0.0
        OUTBOX_AGE.labels(self._service).set(max(age, 0.0))


async def _both(
    publishing: Awaitable[list[str | None]], reading: Awaitable[list[Any]]
) -> tuple[list[str | None], list[Any]]:
    """Each to its end, whatever becomes of the other: nothing is being published any more when a failure is raised."""
    refusals: list[str | None] | BaseException
    ahead: list[Any] | BaseException
    refusals, ahead = await asyncio.gather(publishing, reading, return_exceptions=True)
    if isinstance(refusals, BaseException):
        raise refusals
    if isinstance(ahead, BaseException):
        raise ahead
    return refusals, ahead
