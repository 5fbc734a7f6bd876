"""What is stuck in a service and waits for a person: dead letters of its consumer, and events the broker refused.

The same work stands behind `python -m X_svc dlq|parked` and `remit dlq|parked`.
"""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from remit_events import dead_letters, parked
from remit_events.dead_letters import DeadLetter, DeadLetterError
from remit_events.session import Session
from remit_events.tables import STATUSES, UNRESOLVED
from remit_service.clock import WallClock
from remit_service.one_shot import Lines, Refused
from remit_service.wording import counted

LIMIT = 1_000
SHORT = 100

Row = tuple[str, ...]
LETTER_COLUMNS = ("id", "status", "consumer", "type", "at", "error")
PARKED_COLUMNS = ("event", "topic", "type", "key", "at", "error")


def who() -> str:
    """Who is noted as having decided; a container's user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


async def letters(session: Session, *, every: bool = False) -> list[Row]:
    """LETTER_COLUMNS of the oldest; of resolved ones too with `every`."""
    statuses = STATUSES if every else UNRESOLVED
    found = await dead_letters.list_letters(session, statuses=statuses, limit=LIMIT)
    return [(str(n.id), n.status, n.consumer, n.type or "", _at(n.recorded_at), _short(n.error)) for n in found]


async def letter(session: Session, letter_id: int) -> Lines:
    """One with its history and its event; raises Refused when there is none of that id."""
    one = await dead_letters.show(session, letter_id)
    if one is None:
        raise Refused(f"there is no dead letter {letter_id}")
    return [
        f"{one.consumer} · {one.status} · {one.type} · {position(one)}",
        f"tried {one.attempts} times: {one.error}",
        *(f"{e['at']} {e['by']}: {e['action']} {e['reason']}".rstrip() for e in one.history),
        one.record.value.decode(errors="replace"),
    ]


def position(one: DeadLetter) -> str:
    return f"{one.record.topic}/{one.record.partition}/{one.record.offset}"


async def replay(
    session: Session,
    ids: Sequence[int],
    *,
    by: str,
    reason: str = "",
    dry_run: bool = False,
    rate: float | None = None,
) -> Lines:
    """Has the consumer try them again; raises Refused."""
    try:
        found = await dead_letters.replay(
            session, ids, by=by, now=WallClock().now(), reason=reason, dry_run=dry_run, rate=rate
        )
    except DeadLetterError as error:
        raise Refused(str(error)) from None
    return [f"{counted(len(found), 'dead letter')} {'would' if dry_run else 'will'} be tried again."]


async def discard(session: Session, ids: Sequence[int], *, reason: str, by: str) -> Lines:
    """Gives them up for good; raises Refused."""
    try:
        found = await dead_letters.discard(session, ids, reason=reason, by=by, now=WallClock().now())
    except DeadLetterError as error:
        raise Refused(str(error)) from None
    return [f"{counted(len(found), 'dead letter')} discarded."]


async def parked_events(session: Session) -> list[Row]:
    """PARKED_COLUMNS in the order they were to be published."""
    found = await parked.list_parked(session, limit=LIMIT)
    return [(str(n.event_id), n.topic, n.type, n.key, _at(n.refused_at), _short(n.error)) for n in found]


async def retry_parked(session: Session, keys: Sequence[str]) -> Lines:
    """Hands the parked events of these keys to the relay again; raises Refused when there are none."""
    count = sum([await parked.retry_parked(session, key) for key in dict.fromkeys(keys)])
    if not count:
        raise Refused(f"no event of {', '.join(keys)} is parked")
    return [f"{counted(count, 'event')} will be published again, in order."]


async def drop_parked(session: Session, ids: Sequence[UUID], *, reason: str, by: str) -> Lines:
    """Gives parked events up for good; raises Refused unless all of them are parked."""
    try:
        count = await parked.drop_parked(session, ids, by=by, reason=reason, now=WallClock().now())
    except ValueError as error:
        raise Refused(str(error)) from None
    if count != len(set(ids)):
        raise Refused(f"only {count} of {len(set(ids))} are parked here: nothing was dropped")
    return [f"{counted(count, 'event')} dropped. What waits behind them goes on with `parked retry KEY`."]


def aligned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Lines:
    """A table in plain text."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in (columns, *rows)]


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"


def _short(error: str) -> str:
    return (error.splitlines() or [""])[0][:SHORT]
