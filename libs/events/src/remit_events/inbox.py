"""The inbox: which events a consumer has had, recorded with their effects or not at all.

`recorded_at` is the database's own clock, as the bus keeps records by its own: a time-lapse must not age either, or the
inbox could forget before the bus does. It serves retention only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from remit_events.session import Session

# One round trip: the keys that wait behind a dead letter, and of the other events those not had before.
_RECORD = text("""
WITH given AS (
    SELECT * FROM unnest(CAST(:event_ids AS uuid[]), CAST(:keys AS text[])) WITH ORDINALITY AS g(event_id, key, n)
), blocked AS (
    SELECT DISTINCT d.key FROM dead_letter d
    WHERE d.consumer = :consumer AND d.key = ANY(CAST(:all_keys AS text[])) AND d.key <> ''
        AND d.status IN ('dead', 'parked', 'retry')
), fresh AS (
    INSERT INTO inbox (consumer, event_id, recorded_at)
    SELECT :consumer, event_id, clock_timestamp() FROM given
    WHERE key NOT IN (SELECT key FROM blocked)
    ORDER BY n
    ON CONFLICT DO NOTHING RETURNING event_id
)
SELECT event_id, NULL AS key FROM fresh UNION ALL SELECT NULL, key FROM blocked
""")


@dataclass(frozen=True, slots=True)
class Filtered:
    """What the inbox says of a batch: ids that are new to the consumer, and keys that wait behind a dead letter."""

    fresh: set[UUID]
    blocked: set[str]

    def is_first(self, event_id: UUID) -> bool:
        """True once per fresh id: a batch may hold an event twice."""
        if event_id not in self.fresh:
            return False
        self.fresh.discard(event_id)
        return True


async def record(session: Session, consumer: str, events: Sequence[tuple[UUID, str]], keys: Sequence[str]) -> Filtered:
    """Records the (id, key) pairs as had, but for blocked keys; `keys` are all keys to look up as blocked."""
    rows = await session.fetch(
        _RECORD,
        {
            "consumer": consumer,
            "event_ids": [event_id for event_id, _ in events],
            "keys": [key for _, key in events],
            "all_keys": list(dict.fromkeys(keys)),
        },
    )
    fresh: set[UUID] = set()
    blocked: set[str] = set()
    for event_id, key in rows:
        if event_id is None:
            blocked.add(key)
        else:
            fresh.add(event_id)
    return Filtered(fresh, blocked)
