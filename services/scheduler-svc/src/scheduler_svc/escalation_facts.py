"""What escalation-svc tells: a formal demand to send, an end of chasing, a case that is over."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from remit_events.escalations import EscalationResolved, EscalationTriggered
from scheduler_svc.book import Book, DemandRecord
from scheduler_svc.days import today_of
from scheduler_svc.ledger import DemandDue


def triggered(book: Book, event: EscalationTriggered, event_id: UUID, told_at: datetime) -> None:
    """A demand asks for the gate, and reminders end with it; later rungs may end the demand as well."""
    record = book.follow_ups[event.invoice.id]
    if event.action == "formal_demand":
        if record.value.escalated is None:
            record.change(escalated="demand")
        if event_id not in book.demands:
            book.demands[event_id] = _demand(book, event, event_id, told_at)
    if event.stops_chasing:
        record.change(escalated="stopped")
    book.due(event.customer_id)


def resolved(book: Book, event: EscalationResolved) -> None:
    """Withdrawn or settled, reminders go on where something is still owed, and a demand that waits does not go.

    Paid or void, the ladder stands where it was: when the payment is taken back, so does what it had ended.
    """
    if event.outcome not in ("withdrawn", "settled"):
        return
    record = book.follow_ups.get(event.invoice_id)
    if record is not None and record.value.escalated:
        record.change(escalated=None)
    for demand in book.demands.values():
        if demand.value.case_id == event.case_id and not demand.value.progress.is_final:
            demand.change(withdrawn=True)
    book.due(event.customer_id)


def _demand(book: Book, event: EscalationTriggered, event_id: UUID, told_at: datetime) -> DemandRecord:
    value = DemandDue(
        id=event_id,
        case_id=event.case_id,
        invoice_id=event.invoice.id,
        rung=event.rung,
        triggered_on=today_of(book.customers[event.customer_id].known(), told_at),
        deadline=event.demand_deadline,
        reminders_sent=event.reminders_sent,
        approved_by=event.approved_by,
    )
    return DemandRecord(value, event.seller_id, event.customer_id, new=True, changed=True)
