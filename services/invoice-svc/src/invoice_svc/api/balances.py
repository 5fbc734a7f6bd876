"""`/v1/balances`: still owed? Asked right before every send."""

from __future__ import annotations

from fastapi import Response
from pydantic import AwareDatetime, BaseModel

from invoice_svc import balances
from invoice_svc.api.views import shown
from invoice_svc.api.wiring import BalanceReader
from invoice_svc.balances import BalanceState
from invoice_svc.examples import AT, INVOICE_STATE
from invoice_svc.inputs import BalancesIn
from remit_service.api import Now, Router, SessionDep, problem_responses

router = Router(prefix="/v1/balances", tags=["balances"])


class BalancesOut(BaseModel):
    """What was found; unknown ids, drafts and other sellers' invoices are left out."""

    model_config = shown(as_of=AT, invoices=[INVOICE_STATE | {"customer_hold": None}])
    as_of: AwareDatetime
    invoices: list[BalanceState]


@router.post(
    "",
    summary="Read what is still owed on invoices",
    response_model=BalancesOut,
    responses=problem_responses(400, 401, 403, 413, 415, 422),
)
async def balances_of(body: BalancesIn, session: SessionDep, caller: BalanceReader, now: Now) -> Response:
    """Up to 1,000 invoices in one read; a service calling without a seller sees all sellers' invoices."""
    seller_id = None if caller.internal and not caller.allows("invoices:read") else caller.seller_id
    found = await balances.states(session, seller_id, body.invoice_ids)
    answer = BalancesOut.model_construct(as_of=now, invoices=found)
    return Response(answer.model_dump_json(), media_type="application/json")
