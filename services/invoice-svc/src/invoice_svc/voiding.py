"""Cancelling: an issued invoice is voided, with its disputes and promise; a draft is deleted."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from invoice_svc import disputes, invoices, promises
from invoice_svc.invoices import Invoice
from remit_events.envelope import Event
from remit_events.outbox import emit
from remit_events.session import Session
from remit_service.bulk import execute
from remit_service.problems import conflict


async def void(session: Session, seller_id: UUID, invoice_id: UUID, reason: str, now: datetime) -> Invoice:
    """Raises 404; 409 while money is on it."""
    _, invoice = await invoices.lock_one(session, seller_id, invoice_id)
    voided = invoice.void(reason, now)
    contested = await disputes.open_of(session, seller_id, [invoice_id])
    events: list[Event] = [one.ended_by_void(invoice, now) for one in contested]
    await promises.cancel(session, invoice_id, now)
    await disputes.update(session, contested)
    await invoices.update(session, [invoice])
    await emit(session, [*events, voided], now=now)
    return invoice


async def delete_draft(session: Session, seller_id: UUID, invoice_id: UUID) -> None:
    """Raises 404; 409 for what was issued."""
    _, invoice = await invoices.lock_one(session, seller_id, invoice_id)
    if invoice.status != "draft":
        raise conflict("invoice-final", f"Invoice {invoice.number} is {invoice.status}: void it instead.")
    await execute(session, "DELETE FROM invoice WHERE id = :id", id=invoice_id)
