"""The timeline: every event of all four services, once, with a cursor that never passes one by.

Positions come from a sequence, and a sequence hands out numbers before commits: a reader that remembers the highest
position it saw would lose a lower one committed later. So whoever appends first takes one advisory lock, held to the
end of its transaction: there is one writer at a time, positions are given out in the order of the commits, and a
reader that sees a position sees all below it. (PostgreSQL makes a commit visible before it releases its locks.) The
appending transactions are short and hold 500 events each; the alternative, reading only below pg_snapshot_xmin,
would let any long transaction in the cluster stop the feed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select

from invoice_svc.tables import timeline_entry, timeline_invoice
from remit_events.bus import Received
from remit_events.catalogue import EVENT_TYPES
from remit_events.envelope import SCHEMA_BASE, Event
from remit_events.session import Session
from remit_service.bulk import among, execute, insert_rows, records
from remit_service.problems import invalid

APPEND_LOCK = 0x71_6D_6C
_LOCK = f"SELECT pg_advisory_xact_lock({APPEND_LOCK})"

# What a caller may name a type by: its CloudEvents type or its class.
TYPES = {kind: kind for kind in EVENT_TYPES} | {event.__name__: kind for kind, event in EVENT_TYPES.items()}


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as a CloudEvent, and where it stands in the feed."""

    position: int
    event_id: UUID
    type: str
    source: str
    time: datetime
    subject: str
    partition_key: str
    sequence: int
    data: dict[str, Any]

    def body(self) -> dict[str, Any]:
        """CloudEvents 1.0, JSON format."""
        return {
            "specversion": "1.0",
            "id": self.event_id,
            "source": self.source,
            "type": self.type,
            "time": self.time,
            "subject": self.subject,
            "partitionkey": self.partition_key,
            "sequence": str(self.sequence),
            "datacontenttype": "application/json",
            "dataschema": SCHEMA_BASE + self.type,
            "data": self.data,
            "cursor": str(self.position),
        }


_COLUMNS = [timeline_entry.c[name] for name in Entry.__slots__]


async def append(session: Session, received: Sequence[Received]) -> None:
    """Stores events in the order given; one that is there already is left alone."""
    await execute(session, _LOCK)
    rows = [
        {
            "event_id": one.message.id,
            "seller_id": one.event.seller_id,
            "type": one.message.type,
            "source": one.message.source,
            "time": one.message.time,
            "subject": one.message.subject,
            "partition_key": one.message.partition_key,
            "sequence": one.message.sequence,
            "data": one.message.data,
        }
        for one in received
    ]
    await insert_rows(session, timeline_entry, rows, on_conflict="DO NOTHING")
    links = [
        {"invoice_id": invoice_id, "event_id": one.message.id}
        for one in received
        for invoice_id in sorted(invoices_of(one.event))
    ]
    await insert_rows(session, timeline_invoice, links, on_conflict="DO NOTHING")


def invoices_of(event: Event) -> set[UUID]:
    """The invoices an event is about."""
    named: UUID | None = getattr(event, "invoice_id", None)
    return {state.id for state in event.invoice_states()} | ({named} if named else set())


def of_invoice(seller_id: UUID, invoice_id: UUID) -> Select[Any]:
    """Every event about an invoice; to be read in the order of time, then of event id (which follows causes)."""
    joined = timeline_invoice.join(timeline_entry, timeline_entry.c.event_id == timeline_invoice.c.event_id)
    return (
        select(*_COLUMNS)
        .select_from(joined)
        .where(timeline_invoice.c.invoice_id == invoice_id, timeline_entry.c.seller_id == seller_id)
    )


async def read(
    session: Session, seller_id: UUID, after: int, types: Sequence[str], limit: int
) -> tuple[list[Entry], int]:
    """The seller's next events after a position, and the position to go on from: past all that was looked at."""
    where = [timeline_entry.c.seller_id == seller_id, timeline_entry.c.position > after]
    wanted = select(*_COLUMNS).where(*where).order_by(timeline_entry.c.position).limit(limit)
    if types:
        wanted = wanted.where(among(timeline_entry.c.type, types))
    entries = records(Entry, await session.execute(wanted))
    if len(entries) == limit:
        return entries, entries[-1].position
    # The same snapshot: whatever commits later has a higher position.
    last = await session.scalar(select(func.max(timeline_entry.c.position)).where(*where))
    return entries, last or after


def types_named(given: str | None) -> list[str]:
    """CloudEvents types of a comma-separated list of types or class names; raises a 422 problem."""
    found = []
    for name in filter(None, (part.strip() for part in (given or "").split(","))):
        if name not in TYPES:
            detail = f"There is no such event type. Use one of: {', '.join(sorted(set(TYPES) - set(TYPES.values())))}."
            raise invalid("types", "unknown_type", detail, name)
        found.append(TYPES[name])
    return found
