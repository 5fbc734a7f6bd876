"""Events a consumer could not handle, and those that wait behind them: what a person sees and decides.

A replay does not travel over the bus again: the consumer takes the stored record, with its id, in the order of its
key, so other consumers see nothing of it and later events of the key stay behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, cast, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from remit_events.bus import Delivered
from remit_events.session import Session
from remit_events.tables import UNRESOLVED, dead_letter

ERROR_LENGTH = 4_000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record put aside; `status`: dead, parked (behind another), retry (asked for), replayed or discarded."""

    id: int
    consumer: str
    status: str
    error: str
    attempts: int
    recorded_at: datetime
    due_at: datetime | None
    resolved_at: datetime | None
    history: list[dict[str, Any]]
    event_id: UUID | None
    type: str | None
    record: Delivered


class DeadLetterError(Exception):
    """What was asked of a dead letter cannot be done."""


async def list_letters(
    session: Session,
    *,
    consumer: str | None = None,
    statuses: Sequence[str] = UNRESOLVED,
    key: str | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[DeadLetter]:
    """Oldest first, from behind the id `after`."""
    query = select(dead_letter).where(dead_letter.c.id > after, dead_letter.c.status.in_(statuses))
    if consumer is not None:
        query = query.where(dead_letter.c.consumer == consumer)
    if key is not None:
        query = query.where(dead_letter.c.key == key)
    return [_letter(row) for row in await session.execute(query.order_by(dead_letter.c.id).limit(limit))]


async def show(session: Session, letter_id: int) -> DeadLetter | None:
    """One letter with its record, None when there is none of that id."""
    row = (await session.execute(select(dead_letter).where(dead_letter.c.id == letter_id))).one_or_none()
    return _letter(row) if row else None


async def replay(
    session: Session,
    ids: Sequence[int],
    *,
    by: str,
    now: datetime,
    reason: str = "",
    dry_run: bool = False,
    rate: float | None = None,
) -> list[DeadLetter]:
    """Asks the consumers to try these again, at most `rate` per second; gives those concerned, in order.

    What waits behind them follows by itself. Events a consumer has had after all take no second effect. Raises
    DeadLetterError for a rate that is not positive and for ids that are unknown or discarded.
    """
    if rate is not None and rate <= 0:
        raise DeadLetterError("rate: give more than 0 per second")
    letters = await _chosen(session, ids, refused="discarded")
    if dry_run:
        return letters
    for place, letter in enumerate(letters):
        due = now + timedelta(seconds=place / rate) if rate else None
        await _change(session, letter.id, _entry(now, by, "replay", reason), status="retry", due_at=due)
    return letters


async def discard(session: Session, ids: Sequence[int], *, reason: str, by: str, now: datetime) -> list[DeadLetter]:
    """Gives these up for good; what waited behind them goes on. Raises DeadLetterError without a reason."""
    if not reason.strip():
        raise DeadLetterError("reason: say why the event may be dropped")
    letters = await _chosen(session, ids, refused="replayed")
    for letter in letters:
        entry = _entry(now, by, "discard", reason)
        await _change(session, letter.id, entry, status="discarded", resolved_at=now)
    return letters


async def put_aside(
    session: Session, consumer: str, letters: Sequence[tuple[Delivered, str, str]], now: datetime
) -> None:
    """Stores (record, status, error) in order; a record that is there already stays as it is."""
    rows = [
        {
            "consumer": consumer,
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "key": record.key,
            "event_id": record.message.id if record.message else None,
            "type": record.message.type.replace("\0", "") if record.message else None,
            "value": record.value,
            "headers": [[name, value.decode("latin-1")] for name, value in record.headers],
            "error": error.replace("\0", "")[:ERROR_LENGTH],
            "status": status,
            "attempts": 0 if status == "parked" else 1,
            "recorded_at": now,
            "history": [],
        }
        for record, status, error in letters
    ]
    await session.execute(insert(dead_letter).on_conflict_do_nothing(constraint="dead_letter_position_key"), rows)


async def next_ready(session: Session, consumer: str, now: datetime) -> DeadLetter | None:
    """The oldest letter whose turn it is, locked: asked for again, or parked with nothing left before it."""
    ahead = dead_letter.alias("ahead")
    waits = exists().where(
        ahead.c.consumer == dead_letter.c.consumer,
        ahead.c.key == dead_letter.c.key,
        ahead.c.id < dead_letter.c.id,
        ahead.c.status.in_(UNRESOLVED),
    )
    asked = and_(dead_letter.c.status == "retry", func.coalesce(dead_letter.c.due_at, now) <= now)
    query = (
        select(dead_letter)
        .where(dead_letter.c.consumer == consumer, or_(asked, dead_letter.c.status == "parked"))
        .where(or_(dead_letter.c.key == "", ~waits))
        .order_by(dead_letter.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = (await session.execute(query)).one_or_none()
    return _letter(row) if row else None


async def any_unresolved(session: Session, consumer: str) -> bool:
    query = select(exists().where(dead_letter.c.consumer == consumer, dead_letter.c.status.in_(UNRESOLVED)))
    return bool(await session.scalar(query))


async def succeeded(session: Session, letter: DeadLetter, now: datetime) -> None:
    """The event took effect, or had done so before."""
    entry = _entry(now, letter.consumer, "handled", "")
    await _change(session, letter.id, entry, status="replayed", resolved_at=now)


async def failed(session: Session, letter: DeadLetter, error: str, now: datetime) -> None:
    """It failed again: back before a person, the others of its key still behind it."""
    entry = _entry(now, letter.consumer, "failed", "")
    error = error.replace("\0", "")[:ERROR_LENGTH]
    await _change(
        session, letter.id, entry, status="dead", due_at=None, error=error, attempts=dead_letter.c.attempts + 1
    )


async def _chosen(session: Session, ids: Sequence[int], *, refused: str) -> list[DeadLetter]:
    query = select(dead_letter).where(dead_letter.c.id.in_(ids)).order_by(dead_letter.c.id).with_for_update()
    letters = [_letter(row) for row in await session.execute(query)]
    if missing := sorted(set(ids) - {letter.id for letter in letters}):
        raise DeadLetterError(f"no dead letter {missing[0]}")
    for letter in letters:
        if letter.status == refused:
            raise DeadLetterError(f"dead letter {letter.id} is {refused} already")
    return letters


async def _change(session: Session, letter_id: int, entry: dict[str, Any], **values: Any) -> None:
    history = dead_letter.c.history.op("||")(cast([entry], JSONB))
    await session.execute(update(dead_letter).where(dead_letter.c.id == letter_id).values(history=history, **values))


def _entry(now: datetime, by: str, action: str, reason: str) -> dict[str, Any]:
    return {"at": now.isoformat(), "by": by, "action": action, "reason": reason}


def _letter(row: Row[Any]) -> DeadLetter:
    headers = [(name, value.encode("latin-1")) for name, value in row.headers]
    return DeadLetter(
        id=row.id,
        consumer=row.consumer,
        status=row.status,
        error=row.error,
        attempts=row.attempts,
        recorded_at=row.recorded_at,
        due_at=row.due_at,
        resolved_at=row.resolved_at,
        history=row.history,
        event_id=row.event_id,
        type=row.type,
        record=Delivered.read(row.topic, row.partition, row.offset, row.key, row.value, headers),
    )
