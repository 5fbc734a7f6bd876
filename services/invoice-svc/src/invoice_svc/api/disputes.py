"""`/v1/disputes`: those of all invoices, one of them, and its end."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from sqlalchemy import select

from invoice_svc import disputes
from invoice_svc.api.followup import Disputes
from invoice_svc.api.views import DisputeOut
from invoice_svc.api.wiring import InvoiceReader, InvoiceWriter
from invoice_svc.disputes import Dispute
from invoice_svc.inputs import ResolveIn
from invoice_svc.tables import dispute as table
from remit_service.api import Now, PageDep, Router, SessionDep, paginate, problem_responses

router = Router(prefix="/v1/disputes", tags=["follow-up"])


@router.get("", summary="List disputes", responses=problem_responses(401, 403, 422))
async def listing(
    session: SessionDep,
    caller: InvoiceReader,
    page: PageDep,
    status: Annotated[Literal["open", "resolved"] | None, Query()] = None,
    customer: Annotated[UUID | None, Query()] = None,
    deadline_before: Annotated[date | None, Query(description="Those whose deadline lies before that day.")] = None,
) -> Disputes:
    """In the order they were opened. A deadline ends nothing by itself; `deadline_before` finds the late ones."""
    chosen = select(table).where(table.c.seller_id == caller.seller_id)
    if status is not None:
        chosen = chosen.where(table.c.status == status)
    if customer is not None:
        chosen = chosen.where(table.c.customer_id == customer)
    if deadline_before is not None:
        chosen = chosen.where(table.c.deadline < deadline_before)
    rows, next_cursor = await paginate(session, chosen, page, table.c.id)
    return Disputes(data=[DisputeOut.of(Dispute(**row._mapping)) for row in rows], next_cursor=next_cursor)


@router.get("/{dispute_id}", summary="Show a dispute", responses=problem_responses(401, 403, 404))
async def get(dispute_id: UUID, session: SessionDep, caller: InvoiceReader) -> DisputeOut:
    return DisputeOut.of(await disputes.find(session, caller.seller_id, dispute_id))


@router.post(
    "/{dispute_id}/resolve", summary="Resolve a dispute", responses=problem_responses(400, 401, 403, 404, 409, 415, 422)
)
async def resolve(
    dispute_id: UUID, body: ResolveIn, session: SessionDep, caller: InvoiceWriter, now: Now
) -> DisputeOut:
    """What it held is chased again; void the invoice instead where the debtor was right."""
    return DisputeOut.of(await disputes.resolve(session, caller.seller_id, dispute_id, body.outcome, now))
