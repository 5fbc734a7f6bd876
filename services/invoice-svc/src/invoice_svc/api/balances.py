"""`/v1/balances`: still owed? Asked right before every send."""

from __future__ import annotations

from fastapi import Response
from pydantic import AwareDatetime, BaseModel
from pydantic_core import to_json

from invoice_svc import balances
from invoice_svc.api.views import shown
from invoice_svc.api.wiring import BalanceReader
from invoice_svc.examples import AT, INVOICE_STATE
from invoice_svc.inputs import BalancesIn
from remit_events.state import Hold, InvoiceState
from remit_service.api import Now, Router, SessionDep, problem_responses

router = Router(prefix="/v1/balances", tags=["balances"])


class BalanceState(InvoiceState):
    """The invoice as committed now; `customer_hold` is a hold on all of the customer's invoices."""

    customer_hold: Hold | None = None


class BalancesOut(BaseModel):
    """What was found; unknown ids, drafts and other sellers' invoices are left out."""

    model_config = shown(as_of=AT, invoices=[INVOICE_STATE | {"customer_hold": None}])
    as_of: AwareDatetime
    invoices: list[BalanceState]


@router.post("", response_model=BalancesOut, responses=problem_responses(401, 403, 413, 415, 422))
async def balances_of(body: BalancesIn, session: SessionDep, caller: BalanceReader, now: Now) -> Response:
    """Up to 1,000 invoices in one read; a service calling without a seller sees all sellers' invoices."""
    seller_id = None if caller.internal and not caller.allows("invoices:read") else caller.seller_id
    found = await balances.states(session, seller_id, body.invoice_ids)
    return Response(to_json({"as_of": now, "invoices": found}), media_type="application/json")
