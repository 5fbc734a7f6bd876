"""What a crash left behind: deliveries in `sending` nobody is sending any more are unknown, never sent again."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import structlog
from sqlalchemy import text

from notifier_svc import events, ledger
from notifier_svc.seen import Seen
from notifier_svc.worker import LIVING, Worker
from remit_events.outbox import emit
from remit_service.clock import Clock
from remit_service.database import Database

EVERY_SECONDS = 2.0
# No conversation takes so long; what stands in `sending` longer was forgotten by its worker.
STALE = timedelta(minutes=15)
BATCH = 200
CRASHED = "the sending process ended before the answer came"

log = structlog.get_logger(__name__)

# No more than the conversations that run now, and what crashes left.
_SENDING = text(f"""
SELECT id, worker NOT IN {LIVING} AS lost FROM delivery WHERE status = 'sending' ORDER BY sending_at
""")  # noqa: S608  # a constant

_UNKNOWN = text("""
UPDATE delivery SET status = 'unknown', error_class = 'unknown', error = :error, updated_at = :now
WHERE id = ANY(CAST(:ids AS uuid[]))
""")

# A claim that was not yet decided goes to the next worker at once.
_LET_GO = text(f"""
UPDATE touch SET claim = NULL, next_at = least(next_at, CAST(:now AS timestamptz))
WHERE claim IS NOT NULL AND worker NOT IN {LIVING}
""")  # noqa: S608  # constants only


class Recovery:
    """Looks at start-up, then every two seconds of real time; plans nothing, so it never moves a simulated clock."""

    name = "recovery"
    phase = 0
    poll = EVERY_SECONDS

    def __init__(self, db: Database, clock: Clock, worker: Worker) -> None:
        self._db, self._clock, self._worker = db, clock, worker
        self._looked_at: float | None = None
        self._seen = Seen()

    async def run(self) -> int:
        if self._looked_at is not None and time.monotonic() - self._looked_at < EVERY_SECONDS:
            return 0
        await self._worker.check()
        found = await self._recover(self._clock.now())
        if found < BATCH:
            self._looked_at = time.monotonic()
        return found

    async def next_at(self) -> datetime | None:
        return None

    async def _recover(self, now: datetime) -> int:
        async with self._db.transaction() as session:
            await session.execute(_LET_GO, {"now": now})
            sending = (await session.execute(_SENDING)).all()
            forgotten = self._seen.longer_than(STALE, [row.id for row in sending], now)
            lost = [row.id for row in sending if row.lost or row.id in forgotten][:BATCH]
            if not lost:
                return 0
            # Between the look and the lock a result may have been stored: then it stands.
            stored = [one for one in await ledger.locked(session, lost) if one.status == "sending"]
            await session.execute(_UNKNOWN, {"ids": [one.id for one in stored], "error": CRASHED, "now": now})
            await emit(session, [events.unknown(one.ref, CRASHED) for one in stored], now=now)
        log.warning("left in sending", deliveries=len(stored))
        return len(lost)
