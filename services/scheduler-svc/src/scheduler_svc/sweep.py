"""The sweep: claims customers something is due for, decides about each under its lock, stores, goes on."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import text

from remit_events.failures import is_infrastructure
from remit_events.ids import ids
from remit_events.session import Session
from remit_service.bulk import execute, fetch
from remit_service.clock import Clock
from remit_service.database import Database
from remit_service.logs import describe
from scheduler_svc.ledger import Contact
from scheduler_svc.loading import Batch, claim, load
from scheduler_svc.metrics import FAILED, REVIEWS, count_decisions, count_touches
from scheduler_svc.policies import PolicyCache
from scheduler_svc.records import contact_keys
from scheduler_svc.review import Review, review
from scheduler_svc.storing import Outcome

BATCH = 500
LOCKED_SECONDS = 0.02
SET_ASIDE = timedelta(hours=1)
_NEXT = text("SELECT min(next_at) FROM customer WHERE next_at IS NOT NULL")
_DUE = "SELECT id FROM customer WHERE next_at <= :now AND snapshot IS NOT NULL ORDER BY next_at LIMIT :limit"
_SET_ASIDE = "UPDATE customer SET next_at = :until WHERE id = :id"

log = structlog.get_logger(__name__)


class Sweep:
    """Task of phase 1. `hint_seconds`: how long it may go by what it last saw, unless told of a change (`changed`).

    Another process may plan something in the meantime; it is then found that much later at most. A customer that
    cannot be decided about is set aside for an hour and reported, so that the others go on; `strict`: it raises.
    """

    name = "sweep"
    phase = 1

    def __init__(
        self,
        database: Database,
        clock: Clock,
        policies: PolicyCache,
        *,
        batch: int = BATCH,
        hint_seconds: float = 5.0,
        strict: bool = False,
    ) -> None:
        self.wake = asyncio.Event()
        self._database = database
        self._clock = clock
        self._policies = policies
        self._batch = batch
        self.poll = self._hint_seconds = hint_seconds
        self._strict = strict
        self._seen: tuple[datetime | None, float] | None = None
        self._changes = 0

    def changed(self) -> None:
        """Something may have become due: what was seen before is not believed. Called once it is committed."""
        self._changes += 1
        self._seen = None
        self.wake.set()

    async def run(self) -> int:
        """Reviews every customer due by now; gives how many."""
        due = await self.next_at()
        reviewed = 0
        while due is not None and due <= self._clock.now():
            found, due = await self._batch_of(self._clock.now())
            reviewed += found
            if not found:
                await asyncio.sleep(LOCKED_SECONDS)  # others hold what is due: they will see to it
                return reviewed
        return reviewed

    async def next_at(self) -> datetime | None:
        """When the next customer is due; one look at an index."""
        seen = self._seen
        if seen is None or time.monotonic() - seen[1] > self._hint_seconds:
            changes, looked_at = self._changes, time.monotonic()
            async with self._database.single() as session:
                seen = (await session.scalar(_NEXT), looked_at)
            self._remember(seen, changes)
        return seen[0]

    def _remember(self, seen: tuple[datetime | None, float], changes: int) -> None:
        """Unless something changed since it was looked at."""
        self._seen = seen if changes == self._changes else None

    async def _batch_of(self, now: datetime) -> tuple[int, datetime | None]:
        """One batch; gives its size and when the next customer is due."""
        changes, looked_at = self._changes, time.monotonic()
        try:
            found, due = await self._together(now)
        except Exception as error:
            if self._strict or is_infrastructure(error):
                raise
            return await self._one_by_one(now), await self.next_at()
        self._remember((due, looked_at), changes)
        return found, due

    async def _together(self, now: datetime) -> tuple[int, datetime | None]:
        async with self._database.transaction() as session:
            rows = await claim(session, now, limit=self._batch)
            if rows:
                await self._decide(session, await load(session, rows, self._policies, now, lock=True), now)
            due: datetime | None = await session.scalar(_NEXT)
        return len(rows), due

    async def _one_by_one(self, now: datetime) -> int:
        """The batch again, each customer in a transaction of their own; who fails is set aside."""
        self.changed()
        async with self._database.transaction() as session:
            ids = [row.id for row in await fetch(session, _DUE, now=now, limit=self._batch)]
        for customer in ids:
            try:
                async with self._database.transaction() as session:
                    rows = await claim(session, now, limit=1, only=customer)
                    if rows:
                        await self._decide(session, await load(session, rows, self._policies, now, lock=True), now)
            except Exception as error:
                if is_infrastructure(error):
                    raise
                FAILED.inc()
                log.error("customer set aside", customer=str(customer), **describe(error))
                async with self._database.transaction() as session:
                    await execute(session, _SET_ASIDE, id=customer, until=now + SET_ASIDE)
        return len(ids)

    async def _decide(self, session: Session, batch: Batch, now: datetime) -> None:
        new_id = ids().__next__
        outcome, results = Outcome(now, new_id), []
        for row in batch.rows:
            before = batch.ledger(row)
            result = review(before, self._policies.of(row.seller_id), now, new_id)
            outcome.add(before, result)
            for touch_id in (*result.released, *(touch.id for touch in result.touches if touch.again)):
                batch.contacts.remove(row.seller_id, row.id, touch_id)
            for touch in result.touches:
                reached = contact_keys(before.debtor.addresses, touch.channels)
                batch.contacts.add(row.seller_id, row.id, Contact(touch.local_date, touch.id), reached)
            results.append(result)
        await outcome.store(session)
        _count(results)


def _count(results: Sequence[Review]) -> None:
    REVIEWS.inc(len(results))
    for stage, times in Counter(touch.stage for result in results for touch in result.touches).items():
        count_touches(stage, times)
    rules = Counter((one.outcome, one.rule) for result in results for one in result.decisions)
    for (outcome, rule), times in rules.items():
        count_decisions(outcome, rule, times)
