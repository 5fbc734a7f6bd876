"""Events in: invoices, schedule and notifications, a batch at a time, under the customers' locks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from escalation_svc import demands, fold, tasks
from escalation_svc.book import Book
from escalation_svc.ladders import shelf
from escalation_svc.loading import load, lock_customers
from escalation_svc.saving import save
from escalation_svc.transitions import Rules, settle
from escalation_svc.watch import Watch
from remit_events.bus import Received
from remit_events.envelope import CustomerEvent
from remit_events.notifications import ReplyReceived
from remit_events.outbox import emit
from remit_events.schedule import PaymentDue, TouchSuppressed
from remit_events.session import Session
from remit_service.clock import Clock
from remit_service.sellers import apply_seller_events


@dataclass
class Handlers:
    """Folds events and plans when each case is looked at; triggers no rung."""

    clock: Clock
    rules: Rules
    default_ladder: str
    watch: Watch

    async def handle(self, session: Session, received: Sequence[Received]) -> None:
        """The consumer's handler: correct for any batch and any interleaving of customers."""
        await apply_seller_events(session, received)
        relevant = [one for one in received if fold.concerns(one.event)]
        if relevant:
            await self._fold(session, relevant)

    async def _fold(self, session: Session, received: Sequence[Received]) -> None:
        now = self.clock.now()
        events = [(one.event, one.message) for one in received if isinstance(one.event, CustomerEvent)]
        customers = await lock_customers(session, {event.customer_id: event.seller_id for event, _ in events})
        whole: set[UUID] = set()
        for event, _ in events:
            customer, state = customers[event.customer_id], event.customer_state()
            changed = fold.fold_customer(customer, state) if state else False
            if isinstance(event, PaymentDue):
                changed = fold.fold_window(customer, event) or changed
            if changed:
                whole.add(customer.id)
        book = await load(session, customers, {i for event, _ in events for i in _invoices(event)}, sorted(whole))
        for event, message in events:
            fold.fold_invoices(book, event, now)
            if why := fold.never_left(event):
                tasks.send_invoices(book, event.invoice_states(), why, now)
                continue
            fold.fold_facts(book, event, message.time)
            if isinstance(event, ReplyReceived):
                tasks.read_reply(book, customers[event.customer_id], event, event.reply_id or message.id, now)
            if isinstance(event, TouchSuppressed) and event.invoice_id in book.cases:
                demands.refused(book, book.cases[event.invoice_id], event.step, event.rule, now)
        await self._settle(session, book)

    async def _settle(self, session: Session, book: Book) -> None:
        now = self.clock.now()
        cases = sorted(book.cases.values(), key=lambda case: case.order)
        ladders = await shelf(session, book, self.default_ladder)
        events = settle(book, ladders, cases, self.rules, now)
        await save(session, book, now=now)
        await emit(session, events, now=now)
        session.after_commit.append(self.watch.changed)


def _invoices(event: CustomerEvent) -> list[UUID]:
    if isinstance(event, TouchSuppressed):
        return [event.invoice_id]
    return [state.id for state in event.invoice_states()]
