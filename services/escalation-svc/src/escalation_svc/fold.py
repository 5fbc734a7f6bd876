"""Events into cases: newest state wins, facts apply once, in whatever order topics bring them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from uuid6 import uuid7

from escalation_svc.book import Book
from escalation_svc.evaluate import ContactStatus
from escalation_svc.records import Case, ContactRow, Customer
from remit_events.envelope import CustomerEvent
from remit_events.notifications import (
    DeliveryEvent,
    ReminderCancelled,
    ReminderDelivered,
    ReminderFailed,
    ReminderSent,
    ReminderUnknown,
    ReplyReceived,
)
from remit_events.schedule import FollowUpExhausted, Item, PaymentDue, TouchSuppressed
from remit_events.state import CustomerState, InvoiceState, Stage

EXPIRED = "expired"
FOLLOW_UP = frozenset({Stage.UPCOMING, Stage.DUE, Stage.OVERDUE, Stage.DEMAND})
# A refusal is final, an acceptance outweighs a doubt; a touch as a whole is planned until it is known to be off.
_WEIGHT: dict[ContactStatus, int] = {"planned": 0, "unknown": 1, "sent": 2, "cancelled": 3, "failed": 3}


def concerns(event: object) -> bool:
    """Whether a case can change by it, or a person must read it."""
    if isinstance(event, PaymentDue | DeliveryEvent | ReminderCancelled):
        return event.stage in FOLLOW_UP or never_left(event) is not None
    if isinstance(event, TouchSuppressed):
        return event.demand_id is not None and event.outcome == "suppressed"
    if isinstance(event, ReplyReceived):
        return True
    if not isinstance(event, CustomerEvent) or isinstance(event, FollowUpExhausted):
        return False  # the ladder counts days and reminders, not what the policy has left
    return event.customer_state() is not None or bool(event.invoice_states())


def never_left(event: object) -> str | None:
    """Why the invoice itself did not reach the customer, and nothing will try again, if that is what it tells."""
    if isinstance(event, ReminderFailed) and event.stage is Stage.INVOICE and event.touch_failed:
        return event.reason
    if isinstance(event, ReminderCancelled) and event.stage is Stage.INVOICE and event.rule == EXPIRED:
        return "it could not be sent in time"
    return None


def fold_customer(customer: Customer, state: CustomerState) -> bool:
    """Keeps a newer snapshot; whether it was."""
    if customer.state is not None and customer.state.version >= state.version:
        return False
    customer.state, customer.changed = state, True
    return True


def fold_window(customer: Customer, event: PaymentDue) -> bool:
    """Keeps the window of the last PaymentDue; whether it is another."""
    if customer.window == event.window:
        return False
    customer.window, customer.changed = event.window, True
    return True


def fold_invoices(book: Book, event: CustomerEvent, now: datetime) -> None:
    """Keeps newer invoice states; the first of an invoice opens its watch."""
    for state in event.invoice_states():
        known = book.cases.get(state.id)
        if known is None:
            book.cases[state.id] = _watch(event, state, now)
        elif known.invoice.version < state.version:
            known.invoice = state
        else:
            continue
        book.touched.add(state.id)


def _watch(event: CustomerEvent, state: InvoiceState, now: datetime) -> Case:
    return Case(uuid7(), event.seller_id, event.customer_id, state, opened_at=now, is_new=True)


def fold_facts(book: Book, event: CustomerEvent, at: datetime) -> None:
    """What was planned, sent, refused or cancelled, on each case it named. `at` is the event's own time."""
    match event:
        case PaymentDue():
            _planned(book, event)
        case ReminderSent():
            _delivery(book, event, "sent", event.sent_at)
        case ReminderDelivered():
            _delivery(book, event, "sent", event.delivered_at)
        case ReminderUnknown():
            _delivery(book, event, "unknown", at)
        case ReminderFailed():
            _delivery(book, event, "failed", at)
            if event.touch_failed:
                _off(book, event.touch_id, event.items, "failed", at, event)
        case ReminderCancelled():
            dropped = tuple(d.item for d in event.dropped) + (event.kept if event.whole else ())
            _off(book, event.touch_id, dropped, "cancelled", at, event)
        case _:
            pass


def _planned(book: Book, event: PaymentDue) -> None:
    for case in _cases(book, event.items):
        known = case.contacts.get(event.touch_id)
        # Planned again after all its channels failed: the newer plan stands.
        if known is None or known.at < event.decided_at:
            row = ContactRow(event.touch_id, event.touch_id, event.decided_at, event.stage, event.step, "planned")
            book.contact(case, row)


def _delivery(book: Book, event: DeliveryEvent, status: ContactStatus, at: datetime) -> None:
    for case in _cases(book, event.items):
        row = case.contacts.get(event.delivery_id)
        if row is None:
            row = ContactRow(
                event.delivery_id, event.touch_id, at, event.stage, event.step, status, event.channel.value
            )
        elif _WEIGHT[row.status] < _WEIGHT[status]:
            row.status = status
        if isinstance(event, ReminderSent):
            # When it left, even if its failure or receipt was heard of first.
            row.at, row.digest, row.provider, row.provider_id = at, event.digest, event.provider, event.provider_id
        book.contact(case, row)


def _off(
    book: Book,
    touch_id: UUID,
    items: Iterable[Item],
    status: ContactStatus,
    at: datetime,
    event: ReminderFailed | ReminderCancelled,
) -> None:
    for case in _cases(book, items):
        known = case.contacts.get(touch_id)
        row = known or ContactRow(touch_id, touch_id, at, event.stage, event.step, status)
        row.status = status
        book.contact(case, row)


def _cases(book: Book, items: Iterable[Item]) -> Iterable[Case]:
    return [book.cases[item.invoice.id] for item in items]
