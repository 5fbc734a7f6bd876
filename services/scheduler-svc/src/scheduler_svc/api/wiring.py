"""What the routes share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import Depends, Path, Query, Request
from pydantic import ConfigDict
from sqlalchemy import ColumnElement, select

from remit_service.api import Caller, require
from scheduler_svc import tables as t
from scheduler_svc.policies import PolicyCache

ID = "01997f6a-1111-7000-8000-000000000001"
NUMBER = "2026-0042"


@dataclass(frozen=True)
class Wiring:
    """Put into `app.state.scheduler` by the composition root; `changed` tells the sweep of new work."""

    policies: PolicyCache
    changed: Callable[[], None]


async def _wiring(request: Request) -> Wiring:
    return cast("Wiring", request.app.state.scheduler)


WiringDep = Annotated[Wiring, Depends(_wiring)]
Reader = Annotated[Caller, require("schedule:read")]
Writer = Annotated[Caller, require("schedule:write")]

KeyPath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", examples=["business"])]
VersionPath = Annotated[int, Path(ge=1, le=2**31 - 1)]
InvoicePath = Annotated[str, Path(max_length=200, description="An invoice's id or number.", examples=[NUMBER])]
CustomerQuery = Annotated[str | None, Query(max_length=200, description="A customer's id, or your own id of them.")]
InvoiceQuery = Annotated[str | None, Query(max_length=200, description="An invoice's id or number.")]


def example(**fields: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


def as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def of_customer(column: ColumnElement[Any], seller: UUID, customer: str) -> ColumnElement[bool]:
    """`column` is the id of the customer, named by id or external id."""
    known = as_uuid(customer)
    if known:
        return column == known
    whose = t.customer.alias("named")
    return column.in_(select(whose.c.id).where(whose.c.seller_id == seller, whose.c.external_id == customer))


def of_invoice(ids: ColumnElement[Any], numbers: ColumnElement[Any], invoice: str) -> ColumnElement[bool]:
    """The invoice, named by id or number."""
    known = as_uuid(invoice)
    return ids == known if known else numbers == invoice
