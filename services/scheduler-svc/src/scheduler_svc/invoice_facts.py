"""What invoice-svc tells about invoices: the newest state of each, and the day nothing was owed any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from uuid import UUID

from remit_events.envelope import CustomerEvent
from remit_events.invoices import FollowUpReleased, InvoicePaid
from remit_events.state import InvoiceState
from scheduler_svc.book import Book, FollowUpRecord
from scheduler_svc.days import days_of, today_of
from scheduler_svc.due import first_look
from scheduler_svc.ledger import FollowUp, PolicyRef
from scheduler_svc.plan import waits_for_review
from scheduler_svc.policies import PolicyCache, Shelf

_UNDECIDED = PolicyRef("", 0)


def invoice_states(book: Book, event: CustomerEvent, told_at: datetime, *, opens: bool) -> None:
    """Keeps the newest state of each invoice; with `opens` an unknown one begins to be followed."""
    for state in event.invoice_states():
        record = book.follow_ups.get(state.id)
        if record is None:
            if opens:
                _open(book, event.seller_id, state, told_at)
        elif state.version > record.value.invoice.version:
            _fold(book, record, state, told_at)
    if isinstance(event, InvoicePaid):
        _paid(book, event.invoice.id, event.paid_on)


def released(book: Book, event: FollowUpReleased) -> None:
    """A person let go of an old debt that waited for review: it enters today."""
    record = book.follow_ups.get(event.invoice.id) if event.invoice else None
    if record is not None:
        release_review(book, record)


def release_review(book: Book, record: FollowUpRecord) -> bool:
    """Lets an old debt that waits for review enter today; False when it did not wait."""
    if not waits_for_review(record.value):
        return False
    record.change(reviewed_on=today_of(book.customers[record.customer_id].known(), book.now))
    book.due(record.customer_id)
    return True


def choose_policies(book: Book, shelf: Shelf) -> list[tuple[FollowUpRecord, PolicyRef]]:
    """The policy that customer, profile or invoice name for each new follow-up."""
    chosen, choose = [], cache(shelf.choose)
    for record in new_ones(book):
        customer = book.customers[record.customer_id].known()
        named = (record.value.invoice.policy_key, customer.policy_key)
        chosen.append((record, choose(record.seller_id, customer.profile, *named)))
    return chosen


def plan_new(book: Book, chosen: Sequence[tuple[FollowUpRecord, PolicyRef]], policies: PolicyCache) -> None:
    """Gives each new follow-up its policy, and the moment it is to be looked at first."""
    policy_of = cache(lambda seller, ref: policies.of(seller)[ref])
    for record, ref in chosen:
        customer = book.customers[record.customer_id]
        whose, policy = customer.known(), policy_of(record.seller_id, ref)
        first = first_look(record.value, policy, days_of(whose, policy), book.now)
        record.change(policy=ref, next_at=first)
        customer.look_at(first)


def new_ones(book: Book) -> list[FollowUpRecord]:
    return [record for record in book.follow_ups.values() if record.new]


def _open(book: Book, seller_id: UUID, state: InvoiceState, told_at: datetime) -> None:
    customer = book.customers[state.customer_id].known()
    closed_on = None if state.is_open else today_of(customer, told_at)
    value = FollowUp(state, _UNDECIDED, entered_on=today_of(customer, state.issued_at), closed_on=closed_on)
    book.follow_ups[state.id] = FollowUpRecord(value, seller_id, state.customer_id, new=True)


def _fold(book: Book, record: FollowUpRecord, state: InvoiceState, told_at: datetime) -> None:
    before = record.value.invoice
    if before.is_open and not state.is_open:
        customer = book.customers[record.customer_id].known()
        record.change(closed_on=today_of(customer, told_at), disputed_before=before.fully_disputed)
    elif state.is_open and not before.is_open:
        record.value = record.value.owed_again(book.now)
    record.change(invoice=state)
    book.due(record.customer_id)


def _paid(book: Book, invoice_id: UUID, paid_on: date) -> None:
    record = book.follow_ups.get(invoice_id)
    if record is not None and not record.value.invoice.is_open and record.value.closed_on != paid_on:
        record.change(closed_on=paid_on)
