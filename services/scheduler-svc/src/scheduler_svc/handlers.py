"""Events in: facts and newest states are folded into follow-ups. What follows from them the sweep decides.

A batch is handled set-based: its customers are locked in id order, what it is about is loaded, changed in memory in
the order of the events, and written back with a statement per table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from remit_events import escalations, invoices, notifications
from remit_events.envelope import CustomerEvent
from remit_events.escalations import EscalationResolved, EscalationTriggered, ReplyAnswered
from remit_events.invoices import FollowUpReleased, SellerChanged
from remit_events.notifications import (
    ContactRestored,
    ContactSuppressed,
    DeliveryEvent,
    ReminderCancelled,
    ReminderDelivered,
    ReminderFailed,
    ReminderSent,
    ReminderUnknown,
    ReplyReceived,
)
from remit_events.session import Session
from remit_events.state import Stage
from remit_service.clock import Clock
from remit_service.sellers import apply_seller_events
from scheduler_svc import customer_facts, delivery_facts, escalation_facts, invoice_facts, policies, shelving
from scheduler_svc.book import Book
from scheduler_svc.early import Told
from scheduler_svc.policies import PolicyCache

if TYPE_CHECKING:
    from remit_events.bus import Received

TOPICS = (invoices.TOPIC, notifications.TOPIC, escalations.TOPIC)
TRANSACTIONAL = frozenset({Stage.INVOICE, Stage.THANKS})


class Handlers:
    """`changed` is called when something may have become due."""

    def __init__(self, clock: Clock, cache: PolicyCache, changed: Callable[[], None]) -> None:
        self._clock = clock
        self._cache = cache
        self._changed = changed

    async def handle(self, session: Session, received: Sequence[Received]) -> None:
        """Any events of the three topics, in bus order, each for the first time."""
        await self._sellers(session, received)
        concerning = [(one.event, one.message) for one in received if _concerns(one)]
        told = [Told(event, m.id, m.time) for event, m in concerning if isinstance(event, CustomerEvent)]
        if not told:
            return
        book = Book(self._clock.now())
        await _load(session, book, [one.event for one in told])
        for one in told:
            _fold(book, one)
        opened = invoice_facts.new_ones(book)
        if opened:
            sellers = sorted({record.seller_id for record in opened})
            chosen = invoice_facts.choose_policies(book, await policies.shelf(session, sellers, book.now))
            await self._cache.load(session, [(record.seller_id, ref) for record, ref in chosen])
            invoice_facts.plan_new(book, chosen, self._cache)
        await shelving.write(session, book)
        session.after_commit.append(self._changed)

    async def _sellers(self, session: Session, received: Sequence[Received]) -> None:
        changed = [one for one in received if one.message.type == SellerChanged.type]
        if changed:
            await apply_seller_events(session, changed)
            await policies.seed(session, {one.event.seller_id for one in changed}, self._clock.now())


def _concerns(one: Received) -> bool:
    """Invoices and thank-yous are no follow-up; receipts change nothing here."""
    event = one.event
    if event.topic == notifications.TOPIC and isinstance(event, DeliveryEvent | ReminderCancelled):
        return event.stage not in TRANSACTIONAL and not isinstance(event, ReminderDelivered)
    return True


async def _load(session: Session, book: Book, events: Sequence[CustomerEvent]) -> None:
    whose = {event.customer_id: event.seller_id for event in events}
    sent = [event for event in events if event.topic == notifications.TOPIC]
    closing = [event for event in sent if isinstance(event, ContactSuppressed | ContactRestored)]
    addresses = [(event.seller_id, f"{event.channel}:{event.recipient_sha256}") for event in closing]
    await shelving.lock_customers(session, book, whose, addresses)
    events = [*events, *(one.event for customer in book.customers.values() for one in customer.waiting)]
    states = [(event.seller_id, state) for event in events if (state := event.customer_state())]
    await shelving.load_suppressions(session, book, states)
    await shelving.load_touches(session, book, list(_touch_ids(sent)))
    touched = [item.invoice_id for touch in book.touches.values() for item in touch.items]
    told = [state.id for event in events for state in event.invoice_states()]
    cases = [one for one in events if one.topic == escalations.TOPIC and isinstance(one, EscalationResolved)]
    await shelving.load_follow_ups(session, book, [*touched, *told, *(case.invoice_id for case in cases)])
    ids = [touch.demand_id for touch in book.touches.values() if touch.demand_id]
    await shelving.load_demands(session, book, ids, [case.case_id for case in cases])


def _touch_ids(events: Iterable[CustomerEvent]) -> set[UUID]:
    return {event.touch_id for event in events if isinstance(event, DeliveryEvent | ReminderCancelled)}


def _fold(book: Book, told: Told) -> None:
    """One event: states first, then the fact, and with a customer's first state what waited for it."""
    event, customer = told.event, book.customers[told.event.customer_id]
    if customer.waits(told):
        return
    if state := event.customer_state():
        customer_facts.customer_changed(book, state)
    opens = event.topic == invoices.TOPIC or isinstance(event, EscalationTriggered)
    invoice_facts.invoice_states(book, event, told.at, opens=opens)
    _FACTS[event.topic](book, told)
    for one in customer.arrived():
        _fold(book, one)


def _from_invoices(book: Book, told: Told) -> None:
    if isinstance(told.event, FollowUpReleased):
        invoice_facts.released(book, told.event)


def _from_notifications(book: Book, told: Told) -> None:
    match event := told.event:
        case ReminderSent():
            delivery_facts.reminder_sent(book, event)
        case ReminderFailed():
            delivery_facts.reminder_failed(book, event)
        case ReminderUnknown():
            delivery_facts.reminder_unknown(book, event)
        case ReminderCancelled():
            delivery_facts.reminder_cancelled(book, event)
        case ContactSuppressed():
            customer_facts.contact_suppressed(book, event)
        case ContactRestored():
            customer_facts.contact_restored(book, event)
        case ReplyReceived():
            customer_facts.reply_received(book, event, told.id, told.at)


def _from_escalations(book: Book, told: Told) -> None:
    match event := told.event:
        case ReplyAnswered():
            customer_facts.reply_answered(book, event)
        case EscalationTriggered():
            escalation_facts.triggered(book, event, told.id, told.at)
        case EscalationResolved():
            escalation_facts.resolved(book, event)


# By topic: asking of every invoice whether it is one of ten other things costs as much as its state does.
_FACTS = {
    invoices.TOPIC: _from_invoices,
    notifications.TOPIC: _from_notifications,
    escalations.TOPIC: _from_escalations,
}
