"""Still owed? The state of invoices as committed at this moment: one indexed read, right before every send."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text

from invoice_svc.customers import held
from invoice_svc.invoices import COLUMNS, Invoice
from remit_events.session import Session
from remit_events.state import Hold, InvoiceState
from remit_service.bulk import records

_STATES = text(f"""
SELECT {", ".join(f"invoice.{name}" for name in COLUMNS)},
       customer.hold_reason AS their_reason, customer.hold_until AS their_until
FROM invoice JOIN customer ON customer.id = invoice.customer_id
WHERE invoice.id = ANY(CAST(:ids AS uuid[])) AND invoice.status <> 'draft'
AND (CAST(:seller_id AS uuid) IS NULL OR invoice.seller_id = :seller_id)
""")  # noqa: S608 - the columns are ours


class BalanceState(InvoiceState):
    """The invoice as committed now; `customer_hold` is a hold on all of the customer's invoices."""

    customer_hold: Hold | None = None


async def states(session: Session, seller_id: UUID | None, invoice_ids: Sequence[UUID]) -> list[BalanceState]:
    """The state of each invoice, in no order.

    Unknown ids, drafts and, with `seller_id`, other sellers' invoices are left out.
    """
    values = {"ids": list(invoice_ids), "seller_id": seller_id}
    return records(_state, await session.execute(_STATES, values))


def _state(their_reason: str | None, their_until: date | None, **row: Any) -> BalanceState:
    return Invoice(**row).state_as(BalanceState, customer_hold=held(their_reason, their_until))
