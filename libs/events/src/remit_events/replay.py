"""Publishing a range of the outbox once more, with the original ids: for a bus that lost data, or a new consumer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select

from remit_events.bus import Bus, BusError
from remit_events.outbox import to_record
from remit_events.ports import Database
from remit_events.pruning import INBOX_RETENTION
from remit_events.tables import outbox

PAGE = 500


class ReplayError(Exception):
    """The range cannot be published again; the message says why."""


async def republish(
    database: Database,
    bus: Bus,
    source: str,
    *,
    since: datetime,
    until: datetime,
    now: datetime,
    topics: Sequence[str] = (),
    key: str | None = None,
    rate: float | None = None,
    dry_run: bool = False,
    inbox_retention: timedelta = INBOX_RETENTION,
) -> int:
    """Publishes what was published of the events of [since, until), in order, at most `rate` per second; how many.

    Consumers that had them take no second effect, as long as their inbox remembers: raises ReplayError for a range
    that begins before that, and for a rate that is not positive. Raises BusError when a record is refused.
    """
    if since < now - inbox_retention:
        raise ReplayError(
            f"events before {now - inbox_retention:%Y-%m-%d %H:%M} UTC are no longer in the consumers' inboxes and "
            "would take effect twice"
        )
    if rate is not None and rate <= 0:
        raise ReplayError("rate: give more than 0 per second")
    wanted: list[ColumnElement[bool]] = [outbox.c.published_at.is_not(None), outbox.c.refused_at.is_(None)]
    wanted += [outbox.c.time >= since, outbox.c.time < until]
    wanted += [outbox.c.topic.in_(topics)] if topics else []
    wanted += [outbox.c.key == key] if key is not None else []
    if dry_run:
        async with database.transaction() as session:
            return int(await session.scalar(select(func.count()).select_from(outbox).where(*wanted)) or 0)
    page = PAGE if rate is None else max(1, min(PAGE, int(rate)))
    after = published = 0
    while True:
        async with database.transaction() as session:
            query = select(outbox).where(outbox.c.id > after, *wanted).order_by(outbox.c.id).limit(page)
            rows = (await session.execute(query)).mappings().all()
        if not rows:
            return published
        refusals = await bus.publish([to_record(row, source) for row in rows])
        for refusal in filter(None, refusals):
            raise BusError(f"replay stopped after {published} events: {refusal}")
        published, after = published + len(rows), rows[-1]["id"]
        if rate is not None:
            await asyncio.sleep(len(rows) / rate)
