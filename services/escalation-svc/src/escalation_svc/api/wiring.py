"""What the routes share: the installation's rules, the watch, and a client to notifier-svc."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, cast
from uuid import UUID

import httpx
from fastapi import Depends, Query, Request
from pydantic import AwareDatetime
from sqlalchemy import Select

from escalation_svc import tables as t
from escalation_svc.transitions import Rules
from escalation_svc.watch import Watch
from remit_service.api import Caller, require


@dataclass(frozen=True)
class Wiring:
    """Put into `app.state.escalation` by the composition root."""

    rules: Rules
    default_ladder: str
    watch: Watch
    notifier: httpx.AsyncClient


async def _wiring(request: Request) -> Wiring:
    return cast("Wiring", request.app.state.escalation)


WiringDep = Annotated[Wiring, Depends(_wiring)]
Reader = Annotated[Caller, require("escalations:read")]
Writer = Annotated[Caller, require("escalations:write")]

CustomerQuery = Annotated[str | None, Query(max_length=200, description="A customer's id, or your own id of them.")]
SinceQuery = Annotated[AwareDatetime | None, Query(description="Only what changed since.")]
InvoiceQuery = Annotated[str | None, Query(max_length=200, description="An invoice's id or number.")]


def about(statement: Select[Any], customer: str | None, invoice: str | None) -> Select[Any]:
    """Narrows a statement that selects from cases joined with customers."""
    if customer is not None:
        found = _uuid(customer)
        by_id = t.customer.c.id == found if found else t.customer.c.snapshot["external_id"].astext == customer
        statement = statement.where(by_id)
    if invoice is not None:
        found = _uuid(invoice)
        statement = statement.where(t.case.c.invoice_id == found if found else t.case.c.number == invoice)
    return statement


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
