"""What notifier-svc tells about touches: sent, failed, unknown, cancelled. Facts are recorded, nothing is decided."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from remit_events.notifications import DroppedItem, ReminderCancelled, ReminderFailed, ReminderSent, ReminderUnknown
from remit_events.state import InvoiceState
from scheduler_svc.book import Book, TouchRecord
from scheduler_svc.ledger import NOTHING_OWED, TouchItem

# Rules of the last check that end a step for good; by any other it is decided again.
FINAL_RULES = frozenset(
    {"paid", "void", "disputed", "escalated", "below-minimum", "no-channel", "undeliverable"}
    | {"fewer-than-three-reminders", "unknown-invoice"}
)
EXPIRED = "expired"
# Until then whatever made the last check refuse has become known here too.
RETRY_AFTER = timedelta(minutes=1)


def reminder_sent(book: Book, event: ReminderSent) -> None:
    """The provider took it: each listed item's step was sent, the easier ones it took along are merged."""
    touch = book.touches.get(event.touch_id)
    if touch is None:
        return
    if touch.status in ("cancelled", "given_up") and not touch.reached:
        book.recounted.append(touch)
    touch.become("sent", reached=True)
    listed = {item.invoice.id for item in event.items}
    inputs = {"sent_at": event.sent_at, "sent_by": str(event.channel)}
    for item, of_item in zip(touch.items, touch.inputs, strict=True):
        if item.invoice_id not in listed:
            continue
        step, *easier = touch.slots(item)
        book.finish(step, "sent", "sent", {**of_item, **inputs}, touch.id, event.sent_at)
        for slot in easier:
            book.finish(slot, "merged", "harder-step", {"harder_step": item.step, **inputs}, touch.id, event.sent_at)
        if book.follow_ups[item.invoice_id].value.next_at is None:
            book.due(touch.customer_id)  # it may have been the last step


def reminder_failed(book: Book, event: ReminderFailed) -> None:
    """When every channel has failed the next review sends it on another, or gives it up."""
    touch = book.touches.get(event.touch_id)
    if touch and event.touch_failed and touch.status in ("pending", "unknown", "sent"):
        touch.become("failed")
        book.due(touch.customer_id)


def reminder_unknown(book: Book, event: ReminderUnknown) -> None:
    """Stays in flight, and counts as a contact, until it is known."""
    touch = book.touches.get(event.touch_id)
    if touch and touch.status == "pending":
        touch.become("unknown")


def reminder_cancelled(book: Book, event: ReminderCancelled) -> None:
    """Refused at the moment of sending: some items, or (`whole`) all of it."""
    touch = book.touches.get(event.touch_id)
    if touch is None:
        return
    refused = {dropped.item.invoice.id: dropped for dropped in event.dropped}
    kept = {item.invoice.id for item in event.kept}
    for item in touch.items:
        if item.invoice_id in refused:
            _dropped(book, touch, item, refused[item.invoice_id])
        elif event.whole:
            # Kept, and only the leading item was refused: at once. By a rule about the whole: not before it is known.
            at_once = event.rule == EXPIRED or (item.invoice_id in kept and bool(refused))
            _freed(book, touch, item, None if at_once else event.rule, {})
    if event.whole:
        if not touch.reached:
            book.released.append(touch.id)
        touch.become("sent" if touch.reached else "cancelled")
    book.due(touch.customer_id)


def _dropped(book: Book, touch: TouchRecord, item: TouchItem, dropped: DroppedItem) -> None:
    seen = dropped.item.invoice
    inputs = _seen(seen)
    if not seen.is_open and book.follow_ups[seen.id].value.invoice.is_open:
        _freed(book, touch, item, None, {})  # the payment it saw has been taken back since
        return
    if dropped.rule not in FINAL_RULES:
        _freed(book, touch, item, dropped.rule, inputs)
        return
    final = "void" if dropped.rule == "unknown-invoice" else dropped.rule
    for slot in touch.slots(item):
        book.finish(slot, "suppressed", final, inputs, touch.id, book.now, reopens=final in NOTHING_OWED)


def _seen(invoice: InvoiceState) -> dict[str, Any]:
    """What the last check saw of the invoice."""
    found: dict[str, Any] = {"at_sending": True, "status": invoice.status, "balance_minor": invoice.balance_minor}
    if invoice.hold:
        found |= {"held": "invoice", "reason": invoice.hold.reason, "hold_until": invoice.hold.until}
    if invoice.promise:
        found |= {"promised_on": invoice.promise.on, "grace_until": invoice.promise.grace_until}
    return found


def _freed(book: Book, touch: TouchRecord, item: TouchItem, rule: str | None, inputs: dict[str, Any]) -> None:
    """The item's steps are decided again: at once, or (by `rule`) not before what refused it is known here."""
    freed = False
    for slot in touch.slots(item):
        standing = book.standing(slot)
        if standing is None or not standing.in_flight or standing.touch_id != touch.id:
            continue
        freed = True
        if rule is None:
            book.put(slot, book.follow_ups[slot.invoice_id].value.anew(book.now))
        else:
            book.wait(slot, rule, {"at_sending": True, **inputs}, touch.id, book.now + RETRY_AFTER)
    if freed and item.harder:
        record = book.follow_ups[item.invoice_id]
        record.change(harder_used=max(record.value.harder_used - 1, 0))
