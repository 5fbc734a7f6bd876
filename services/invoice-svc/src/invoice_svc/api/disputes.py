"""`/v1/disputes/{id}`: one dispute, and its end."""

from __future__ import annotations

from uuid import UUID

from invoice_svc import disputes
from invoice_svc.api.views import DisputeOut
from invoice_svc.api.wiring import InvoiceReader, InvoiceWriter
from invoice_svc.inputs import ResolveIn
from remit_service.api import Now, Router, SessionDep, problem_responses

router = Router(prefix="/v1/disputes", tags=["follow-up"])


@router.get("/{dispute_id}", responses=problem_responses(401, 403, 404))
async def get(dispute_id: UUID, session: SessionDep, caller: InvoiceReader) -> DisputeOut:
    return DisputeOut.of(await disputes.find(session, caller.seller_id, dispute_id))


@router.post("/{dispute_id}/resolve", responses=problem_responses(400, 401, 403, 404, 409, 415, 422))
async def resolve(
    dispute_id: UUID, body: ResolveIn, session: SessionDep, caller: InvoiceWriter, now: Now
) -> DisputeOut:
    """What it held is chased again; void the invoice instead where the debtor was right."""
    return DisputeOut.of(await disputes.resolve(session, caller.seller_id, dispute_id, body.outcome, now))
