"""Writing events: they leave with the transaction that caused them, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from uuid6 import uuid7

from remit_events.bus import Record
from remit_events.envelope import Event, Message
from remit_events.session import Session
from remit_events.tracing import traceparent

_INSERT = text("""
INSERT INTO outbox (event_id, aggregate_id, aggregate_version, topic, type, key, payload, time, traceparent)
SELECT event_id, aggregate_id, aggregate_version, topic, type, key, payload, CAST(:time AS timestamptz), :traceparent
FROM unnest(
    CAST(:event_ids AS uuid[]), CAST(:aggregate_ids AS uuid[]), CAST(:aggregate_versions AS int[]),
    CAST(:topics AS text[]), CAST(:types AS text[]), CAST(:keys AS text[]), CAST(:payloads AS text[])
) WITH ORDINALITY AS given (event_id, aggregate_id, aggregate_version, topic, type, key, payload, n)
ORDER BY n
""")


async def emit(session: Session, events: Sequence[Event], *, now: datetime) -> None:
    """Stores `events` in the session's transaction; their order is the order they are published in per key.

    The caller has locked the customers' rows in id order before, so that ids follow the order of the facts.
    """
    if not events:
        return
    await session.execute(
        _INSERT,
        {
            "event_ids": [uuid7() for _ in events],
            "aggregate_ids": [event.subject() for event in events],
            "aggregate_versions": [event.sequence() for event in events],
            "topics": [event.topic for event in events],
            "types": [event.type for event in events],
            "keys": [str(event.partition_key()) for event in events],
            "payloads": [event.model_dump_json() for event in events],
            "time": now,
            "traceparent": traceparent(),
        },
    )
    session.emitted = True


def to_record(row: Any, source: str) -> Record:
    """A row of the outbox, whole or the columns read here, as it is published by `source` (`/invoice-svc`)."""
    message = Message(
        id=row["event_id"],
        source=source,
        type=row["type"],
        time=row["time"],
        subject=str(row["aggregate_id"]),
        partition_key=row["key"],
        sequence=row["aggregate_version"],
        data=row["payload"].encode(),
        traceparent=row["traceparent"],
    )
    return Record.of(row["topic"], message)
