"""Writing events: they leave with the transaction that caused them, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from remit_events.bus import Record
from remit_events.envelope import Event, headers_of
from remit_events.ids import new_ids
from remit_events.session import WORTH_COPYING, Session
from remit_events.tracing import traceparent

_GIVEN = ("event_id", "aggregate_id", "aggregate_version", "topic", "type", "key", "payload")
_INSERT = text("""
INSERT INTO outbox (event_id, aggregate_id, aggregate_version, topic, type, key, payload, time, traceparent)
SELECT event_id, aggregate_id, aggregate_version, topic, type, key, payload, CAST(:time AS timestamptz), :traceparent
FROM unnest(
    CAST(:event_id AS uuid[]), CAST(:aggregate_id AS uuid[]), CAST(:aggregate_version AS int[]),
    CAST(:topic AS text[]), CAST(:type AS text[]), CAST(:key AS text[]), CAST(:payload AS text[])
) WITH ORDINALITY AS given (event_id, aggregate_id, aggregate_version, topic, type, key, payload, n)
ORDER BY n
""")
# Most requests cause one event, which needs no arrays.
_INSERT_ONE = text("""
INSERT INTO outbox (event_id, aggregate_id, aggregate_version, topic, type, key, payload, time, traceparent)
VALUES (:event_id, :aggregate_id, :aggregate_version, :topic, :type, :key, :payload, :time, :traceparent)
""")


class Written(NamedTuple):
    """An event whose JSON stands already: where thousands of one type are written, building a model of each and
    dumping it is most of the work. A test holds that it is what the model writes."""

    kind: type[Event]
    subject: UUID
    sequence: int
    key: UUID
    payload: str

    @classmethod
    def of(cls, event: Event) -> Written:
        return cls(type(event), event.subject(), event.sequence(), event.partition_key(), event.model_dump_json())


async def emit(session: Session, events: Sequence[Event | Written], *, now: datetime) -> None:
    """Stores `events` in the session's transaction; their order is the order they are published in per key.

    The caller has locked the customers' rows in id order before, so that ids follow the order of the facts.
    """
    if not events:
        return
    parent, rows = traceparent(), _rows(events)
    if len(rows) == 1:
        given = dict(zip(_GIVEN, rows[0], strict=True))
        await session.fetch(_INSERT_ONE, {**given, "time": now, "traceparent": parent})
    elif len(rows) < WORTH_COPYING:
        given = dict(zip(_GIVEN, map(list, zip(*rows, strict=True)), strict=True))
        await session.fetch(_INSERT, {**given, "time": now, "traceparent": parent})
    else:
        await session.copy("outbox", (*_GIVEN, "time", "traceparent"), ((*row, now, parent) for row in rows))
    session.emitted = True


def _rows(events: Sequence[Event | Written]) -> list[tuple[Any, ...]]:
    written = (one if isinstance(one, Written) else Written.of(one) for one in events)
    return [
        (event_id, subject, sequence, kind.topic, kind.type, str(key), payload)
        for event_id, (kind, subject, sequence, key, payload) in zip(new_ids(len(events)), written, strict=True)
    ]


def to_record(row: Any, source: str) -> Record:
    """A row of the outbox, whole or the columns read here, as it is published by `source` (`/invoice-svc`)."""
    key = row["key"]
    headers = headers_of(
        source,
        row["type"],
        row["event_id"],
        row["time"],
        str(row["aggregate_id"]),
        key.encode(),
        row["aggregate_version"],
        row["traceparent"],
    )
    return Record(row["topic"], key, row["payload"].encode(), headers)
