"""The task that takes rungs: once a day per customer, at the opening of their window, after that day's steps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from escalation_svc.book import Book
from escalation_svc.ladders import Shelf, shelf, store_shipped
from escalation_svc.loading import customer_of, earliest, load
from escalation_svc.records import Case
from escalation_svc.saving import save
from escalation_svc.transitions import Rules, ask, decide, look, profile, settle, take
from escalation_svc.watch import TRUSTED_SECONDS, Watch
from remit_events.envelope import Event
from remit_events.outbox import emit
from remit_events.session import Session
from remit_service.clock import Clock
from remit_service.database import Database

CUSTOMERS_AT_ONCE = 100
CASES_AT_ONCE = 1000

# Whose cases are due, locked in id order; customers somebody else is deciding about are left to them.
_CLAIM = text("""
SELECT * FROM customer
WHERE id IN (SELECT customer_id FROM escalation_case WHERE next_eval_at <= :now ORDER BY next_eval_at LIMIT :cases)
ORDER BY id LIMIT :customers FOR UPDATE SKIP LOCKED
""")
_DUE = text("""
SELECT invoice_id FROM escalation_case
WHERE customer_id = ANY(CAST(:customers AS uuid[])) AND next_eval_at <= :now
""")


@dataclass
class Rungs:
    """Looks at every case whose time has come and takes, or asks to take, its next rung."""

    db: Database
    clock: Clock
    rules: Rules
    default_ladder: str
    watch: Watch
    name: str = "rungs"
    phase: int = 2
    poll: float = TRUSTED_SECONDS

    def __post_init__(self) -> None:
        self.wake = self.watch.wake

    async def run(self) -> int:
        """Looks at all cases that are due now; gives how many."""
        now, looked_at = self.clock.now(), 0
        while (due := await self.next_at()) is not None and due <= now:
            async with self.db.transaction() as session:
                done = await self._batch(session, now)
            if not done:
                break
            looked_at += done
        return looked_at

    async def next_at(self) -> datetime | None:
        """The earliest planned look, by one index look-up; remembered until a plan changes."""
        known = self.watch.known()
        if known is not None:
            return known.earliest
        changes = self.watch.changes
        async with self.db.single() as session:
            found = await earliest(session)
        self.watch.read(found, changes)
        return found

    async def _batch(self, session: Session, now: datetime) -> int:
        asked = {"now": now, "cases": CASES_AT_ONCE, "customers": CUSTOMERS_AT_ONCE}
        claimed = [customer_of(row) for row in await session.fetch(_CLAIM, asked)]
        if not claimed:
            return 0
        customers = {customer.id: customer for customer in claimed}
        due = [row.invoice_id for row in await session.fetch(_DUE, {"customers": list(customers), "now": now})]
        book = await load(session, customers, due)
        ladders = await shelf(session, book, self.default_ladder)
        events: list[Event] = []
        for case in sorted(book.cases.values(), key=lambda case: case.order):
            events += self._look(book, ladders, case, now)
        await store_shipped(session, ladders.unsaved, now=now)
        await save(session, book, now=now)
        await emit(session, events, now=now)
        session.after_commit.append(self.watch.changed)
        return len(due)

    def _look(self, book: Book, ladders: Shelf, case: Case, now: datetime) -> list[Event]:
        """Takes or asks for the next rung when today allows it; plans the next look either way."""
        events: list[Event] = []
        looked = look(book, ladders, case, now)
        timely = looked is not None and not case.replan and looked.place.may_evaluate(now, self.rules.settle)
        if looked and timely and looked.verdict.may_take and looked.verdict.rung:
            rung = looked.verdict.rung
            if not rung.needs_approval(profile(book.customer(case))):
                events.append(take(book, ladders, case, looked, rung, None, now))
            elif self.rules.approve == "auto":
                row = ask(book, ladders, case, looked, rung, now)
                decide(book, case, row, "approved", self.rules.approve_as, None, now)
                events.append(take(book, ladders, case, looked, rung, self.rules.approve_as, now))
            elif self.rules.approve == "ask":
                ask(book, ladders, case, looked, rung, now)
        # A look that was too early (or only asked to plan again) may plan this very instant; one that was made not.
        return events + settle(book, ladders, [case], self.rules, now, after=timely)
