"""Forgetting what nobody can need any more: old inbox rows, published outbox rows, the log's old records."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from sqlalchemy import text

from remit_events.bus import Bus
from remit_events.ports import Clock, Database

# The inbox must remember longer than the bus keeps a record (30 days, catalogue.TOPICS).
INBOX_RETENTION = timedelta(days=40)
OUTBOX_RETENTION = timedelta(days=40)
ROWS = 5_000
INTERVAL_SECONDS = 3_600

_INBOX = text("""
WITH gone AS (
    DELETE FROM inbox WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM inbox WHERE recorded_at < clock_timestamp() - CAST(:kept AS interval) LIMIT :rows
    ))
    RETURNING 1
)
SELECT count(*) FROM gone
""")

# In pages from the oldest id on, for there is no index by time; up to the first whose events are all younger.
_OUTBOX = text("""
WITH page AS (
    SELECT id, time, published_at FROM outbox WHERE id > :after ORDER BY id LIMIT :rows
), gone AS (
    DELETE FROM outbox o USING page WHERE o.id = page.id AND page.published_at < :before RETURNING o.id
)
SELECT max(id) AS last, coalesce(min(time) < :before, false) AS goes_on, (SELECT count(*) FROM gone) AS gone FROM page
""")


class Pruning:
    """The task that prunes inbox, outbox and bus, once an hour of the process's own running time."""

    phase = 0
    poll = 60.0

    def __init__(self, database: Database, bus: Bus, clock: Clock) -> None:
        self.name = "pruning"
        self._database = database
        self._bus = bus
        self._clock = clock
        # Not at the start: whoever was away for long first reads what is still there.
        self._due = time.monotonic() + INTERVAL_SECONDS

    async def run(self) -> int:
        if time.monotonic() < self._due:
            return 0
        self._due = time.monotonic() + INTERVAL_SECONDS
        pruned = await prune_inbox(self._database)
        pruned += await prune_outbox(self._database, before=self._clock.now() - OUTBOX_RETENTION)
        return pruned + await self._bus.prune()

    async def next_at(self) -> datetime | None:
        return None


async def prune_inbox(database: Database) -> int:
    """Deletes rows older than INBOX_RETENTION by the database's clock, in short transactions; how many."""
    pruned, gone = 0, ROWS
    while gone == ROWS:
        async with database.transaction() as session:
            gone = await session.scalar(_INBOX, {"kept": INBOX_RETENTION, "rows": ROWS})
        pruned += gone
    return pruned


async def prune_outbox(database: Database, *, before: datetime) -> int:
    """Deletes outbox rows published before that time, oldest first, in short transactions; how many."""
    pruned, after, goes_on = 0, 0, True
    while goes_on:
        async with database.transaction() as session:
            values = {"after": after, "before": before, "rows": ROWS}
            after, goes_on, gone = (await session.execute(_OUTBOX, values)).one()
        pruned += gone
    return pruned
