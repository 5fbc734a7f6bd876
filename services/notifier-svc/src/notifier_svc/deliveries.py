"""The task that sends what is due: claim, ask, decide, mark `sending`, hand over, record.

No transaction is open while the network is used.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import structlog

from notifier_svc import claims, marking, metrics, results
from notifier_svc.balances import StillOwed, UnansweredError
from notifier_svc.claims import Batch, Claim
from notifier_svc.planning import Hand, Plan, Planner, not_storable, unanswered
from notifier_svc.results import Done
from notifier_svc.sending import Round, hand_over
from notifier_svc.suppressions import closed_since
from notifier_svc.worker import Worker
from remit_events.failures import is_infrastructure
from remit_events.state import Channel, SellerState, Stage
from remit_service.clock import Clock
from remit_service.database import Database
from remit_service.logs import describe

# How long what this process knows about the next due touch is believed, as other processes may add some.
BELIEVED_SECONDS = 2.0
RECORD_TRIES = 8
# How many touches are asked about and written together. A payment between the question and the hand-over comes too
# late for its reminder: of more, the last would wait too long behind the others.
TOGETHER = 32
# After so many batches run() returns, so that its loop can look whether it is to stop.
ROUNDS = 5

log = structlog.get_logger(__name__)


class Deliveries:
    """Sends pending deliveries, touch by touch, in batches."""

    name = "deliveries"
    phase = 0
    poll = BELIEVED_SECONDS

    def __init__(
        self,
        db: Database,
        clock: Clock,
        still_owed: StillOwed,
        planner: Planner,
        worker: Worker,
        *,
        batch: int = 200,
    ) -> None:
        self.wake = asyncio.Event()
        self._db, self._clock = db, clock
        self._still_owed, self._planner, self._worker = still_owed, planner, worker
        self._batch = batch
        self._sellers: dict[UUID, SellerState] = {}
        self._nudges = 0
        self._seen: datetime | None = None
        self._known: tuple[datetime | None, float] | None = None

    def nudge(self) -> None:
        """Something was left to send: what was known about the next due touch no longer holds."""
        self._nudges += 1
        self._known = None
        self.wake.set()

    async def run(self) -> int:
        if self._nothing_due():
            return 0
        nudges = self._nudges
        await self._worker.alive()
        settled = 0
        for _ in range(ROUNDS):
            batch = await self._claimed()
            settled += len(batch.claims)
            if not batch.claims or (await self._settle(batch) == 0 and len(batch.claims) < self._batch):
                self._know(self._seen, nudges)
                return settled
        self._known = None
        return settled

    async def next_at(self) -> datetime | None:
        known = self._still_known()
        if known is None:
            nudges = self._nudges
            async with self._db.reading() as session:
                known = self._know(await claims.next_due(session), nudges)
        return known[0]

    async def _claimed(self) -> Batch:
        async with self._db.single() as session:
            now = self._clock.now()
            batch = await claims.claim(session, now, self._batch, self._worker.id, self._sellers)
            if not batch.claims:
                self._seen = await claims.next_due(session)
        return batch

    async def _marked(self, batch: Batch, plans: Sequence[Plan]) -> list[Hand]:
        """Commits `sending`; when a batch fails by itself one by one, so that one touch does not stop the others."""
        try:
            return await self._mark(batch, plans)
        except Exception as error:
            if is_infrastructure(error):
                raise
        hands = []
        for plan in plans:
            try:
                hands += await self._mark(batch, [plan])
            except Exception as error:
                if is_infrastructure(error):
                    raise
                log.error("not storable", touch=str(plan.claim.id), **describe(error))
                await self._mark(batch, [not_storable(plan)])
        return hands

    async def _mark(self, batch: Batch, plans: Sequence[Plan]) -> list[Hand]:
        given = batch.token, plans, self._worker.id, self._clock.now()
        if all(plan.quiet for plan in plans):
            async with self._db.single() as session:
                hands = await marking.mark_quietly(session, *given)
                self._seen = await claims.next_due(session) if not hands else None
            return hands
        async with self._db.transaction() as session:
            hands = await marking.mark(session, *given)
            self._seen = await claims.next_due(session) if not hands else None
        return hands

    def _know(self, due: datetime | None, nudges: int) -> tuple[datetime | None, float]:
        """What was just read, unless a nudge since then has the last word."""
        known = (due, time.monotonic())
        self._known = known if nudges == self._nudges else None
        return known

    def _still_known(self) -> tuple[datetime | None, float] | None:
        known = self._known
        return known if known and time.monotonic() - known[1] < BELIEVED_SECONDS else None

    def _nothing_due(self) -> bool:
        known = self._still_known()
        return known is not None and (known[0] is None or known[0] > self._clock.now())

    async def _settle(self, batch: Batch) -> int:
        """All of one batch; gives how many of it are due again at once."""
        again = 0
        failure: Exception | None = None
        round_ = Round(self._still_owed, self._closed_since, self._clock)
        left = batch

        async def prepare() -> list[Plan]:
            nonlocal again, left
            part, left = left.divided(TOGETHER)
            try:
                plans = await self._decided(part) if part.claims else []
            except UnansweredError as error:
                plans, left = self._unanswered(error, [*part.claims, *left.claims]), replace(left, claims=[])
            again += sum(len(plan.rerouted) for plan in plans)
            round_.waiting |= {hand.job.id: hand for plan in plans for hand in plan.hands}
            # What needs no provider is stored with the first portion.
            return sorted(plans, key=lambda plan: bool(plan.hands))

        async for done in hand_over(round_, prepare, lambda portion: self._marked(batch, portion)):
            try:
                again += await self._record(done)
            except Exception as error:
                failure = error  # the others are under way and have results of their own
        if failure:
            raise failure
        return again

    async def _decided(self, batch: Batch) -> list[Plan]:
        """Raises UnansweredError."""
        asked = {invoice for claim in batch.claims for invoice in claim.invoice_ids}
        check = await self._still_owed.ask(asked, {claim.seller.id for claim in batch.claims})
        reminders, now = await self._reminders(batch), self._clock.now()
        if any(job.channel is Channel.LETTER for claim in batch.claims for job in claim.jobs):
            # Typesetting takes 20 ms a letter, too long for the event loop.
            return await asyncio.to_thread(self._planner.plan, batch, check, reminders, now)
        return self._planner.plan(batch, check, reminders, now)

    def _unanswered(self, error: UnansweredError, claims: Sequence[Claim]) -> list[Plan]:
        metrics.unanswered(error.who)
        log.warning("not answered, nothing sent", who=error.who, reason=str(error), touches=len(claims))
        now = self._clock.now()
        return [unanswered(claim, f"unanswered: {error.who}", now) for claim in claims]

    async def _reminders(self, batch: Batch) -> dict[UUID, int]:
        """Only a demand needs to know how often was reminded."""
        demanded = [i for claim in batch.claims if claim.stage is Stage.DEMAND for i in claim.invoice_ids]
        if not demanded:
            return {}
        async with self._db.reading() as session:
            return await claims.reminders_sent(session, demanded)

    async def _closed_since(self, hands: Sequence[Hand]) -> set[tuple[UUID, str, str]]:
        async with self._db.reading() as session:
            return await closed_since(session, {hand.job.recipient_sha256 for hand in hands})

    async def _record(self, done: Sequence[Done]) -> int:
        """What providers answered must not be lost to a database that is away for a moment."""
        for attempt in range(RECORD_TRIES):
            try:
                async with self._db.transaction() as session:
                    recorded = await results.record(session, done, self._clock.now())
                self._seen = recorded.next_due
                for one in done:
                    metrics.handed_over(one.hand.job.channel, one.hand.way.provider.name, one.outcome.result)
                return recorded.again
            except Exception as error:
                if attempt == RECORD_TRIES - 1 or not is_infrastructure(error):
                    raise
                log.warning("results not stored yet", deliveries=len(done), **describe(error))
                await asyncio.sleep(min(0.1 * 2.0**attempt, 5.0))
        raise AssertionError("unreachable")
