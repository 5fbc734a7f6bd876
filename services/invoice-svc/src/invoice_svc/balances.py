"""Still owed? The state of invoices as committed at this moment: one indexed read, right before every send."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select

from invoice_svc.customers import held
from invoice_svc.invoices import Invoice
from invoice_svc.tables import customer, invoice
from remit_events.session import Session
from remit_events.state import Hold, InvoiceState
from remit_service.bulk import among, records

_STATES = (
    select(invoice, customer.c.hold_reason.label("their_reason"), customer.c.hold_until.label("their_until"))
    .select_from(invoice.join(customer, customer.c.id == invoice.c.customer_id))
    .where(invoice.c.status != "draft")
)


class BalanceState(InvoiceState):
    """The invoice as committed now; `customer_hold` is a hold on all of the customer's invoices."""

    customer_hold: Hold | None = None


async def states(session: Session, seller_id: UUID | None, invoice_ids: Sequence[UUID]) -> list[BalanceState]:
    """The state of each invoice, in no order.

    Unknown ids, drafts and, with `seller_id`, other sellers' invoices are left out.
    """
    statement = _STATES.where(among(invoice.c.id, invoice_ids))
    if seller_id is not None:
        statement = statement.where(invoice.c.seller_id == seller_id)
    return records(_state, await session.execute(statement))


def _state(their_reason: str | None, their_until: date | None, **row: Any) -> BalanceState:
    return Invoice(**row).state_as(BalanceState, customer_hold=held(their_reason, their_until))
