"""What is told about customers and their addresses: the newest snapshot, which ways are closed, what they wrote."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from remit_events.escalations import ReplyAnswered
from remit_events.notifications import ContactRestored, ContactSuppressed, ReplyReceived
from remit_events.state import CustomerState
from scheduler_svc.book import Book
from scheduler_svc.records import address_keys


def customer_changed(book: Book, state: CustomerState) -> None:
    """The snapshot, unless a newer one is there; everything about the customer is looked at again."""
    record = book.customers[state.id]
    if record.state is not None and state.version <= record.version:
        return
    followed = record.state is not None
    record.state, record.version, record.changed = state, state.version, True
    record.addresses = address_keys(state)
    record.suppressed = [key for key in record.addresses if (record.seller_id, key) in book.closed_addresses]
    if followed:
        record.look_at(book.now)


def reply_received(book: Book, event: ReplyReceived, event_id: UUID, received_at: datetime) -> None:
    """Follow-up of the customer rests until it is answered."""
    reply = book.reply(event.reply_id or event_id, event)
    reply["received_at"] = received_at


def reply_answered(book: Book, event: ReplyAnswered) -> None:
    """What waited for it goes on, unless there is another."""
    book.reply(event.reply_id, event)["answered"] = True
    book.due(event.customer_id)


def contact_suppressed(book: Book, event: ContactSuppressed) -> None:
    _note(book, event, event.reason)


def contact_restored(book: Book, event: ContactRestored) -> None:
    _note(book, event, None)


def _note(book: Book, event: ContactSuppressed | ContactRestored, reason: str | None) -> None:
    key = f"{event.channel}:{event.recipient_sha256}"
    pair = (event.seller_id, key)
    book.suppressions[pair] = reason
    if reason is None:
        book.closed_addresses.discard(pair)
    else:
        book.closed_addresses.add(pair)
    for record in book.customers.values():
        if record.seller_id == event.seller_id and key in record.addresses:
            kept = [one for one in record.suppressed if one != key]
            record.suppressed = kept if reason is None else [*kept, key]
            record.changed = True
