"""Events the broker refused, and those of their keys behind them: what a person sees and decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update

from remit_events.session import Session
from remit_events.tables import outbox

_PARKED = (outbox.c.published_at.is_(None), outbox.c.refused_at.is_not(None))


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """`error` is the broker's reason, or that an earlier event of the key was refused."""

    id: int
    event_id: UUID
    topic: str
    type: str
    key: str
    error: str
    refused_at: datetime


async def list_parked(session: Session, *, key: str | None = None, limit: int = 100) -> list[ParkedEvent]:
    """In the order they were to be published."""
    columns = (getattr(outbox.c, name) for name in ParkedEvent.__dataclass_fields__)
    query = select(*columns).where(*_PARKED).order_by(outbox.c.id).limit(limit)
    if key is not None:
        query = query.where(outbox.c.key == key)
    return [ParkedEvent(*row) for row in await session.execute(query)]


async def retry_parked(session: Session, key: str) -> int:
    """Hands all parked events of a key to the relay again, in their order; gives how many."""
    again = update(outbox).where(*_PARKED, outbox.c.key == key).values(refused_at=None, error=None)
    done = await session.execute(again.returning(outbox.c.id))
    session.emitted = True
    return len(done.all())


async def drop_parked(session: Session, event_ids: Sequence[UUID], *, by: str, reason: str, now: datetime) -> int:
    """Gives these events up: they count as published and never will be; gives how many.

    The rest of their keys stays parked until retry_parked(). Raises ValueError without a reason.
    """
    if not reason.strip():
        raise ValueError("reason: say why the event may be dropped")
    dropped = (
        update(outbox)
        .where(*_PARKED, outbox.c.event_id.in_(event_ids))
        .values(published_at=now, error=f"dropped by {by}: {reason} (was: " + outbox.c.error + ")")
    )
    done = await session.execute(dropped.returning(outbox.c.id))
    return len(done.all())
