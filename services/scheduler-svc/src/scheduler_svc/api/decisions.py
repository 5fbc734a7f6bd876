"""`/v1/decisions`: why somebody was, or was not, contacted."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime, BaseModel
from sqlalchemy import ColumnElement, Row, and_, exists, or_, select

from remit_service.api import Listing, PageDep, Router, SessionDep, paginate, problem_responses
from scheduler_svc import tables as t
from scheduler_svc.api.wiring import (
    ID,
    NUMBER,
    CustomerQuery,
    InvoiceQuery,
    Reader,
    example,
    of_customer,
    of_invoice,
)

router = Router(prefix="/v1/decisions", tags=["decisions"])


class DecisionOut(BaseModel):
    """One row of the decision log: `inputs` are what the rule looked at; `demand_id` is set for a formal demand."""

    model_config = example(
        id=ID,
        at="2026-03-09T08:00:00Z",
        on_date="2026-03-09",
        timezone="Europe/Berlin",
        customer_id=ID,
        invoice_id=ID,
        invoice_number=NUMBER,
        step="second",
        outcome="deferred",
        rule="minimum-gap",
        inputs={"minimum_gap_days": 1, "last_contact_on": "2026-03-09", "planned_on": "2026-03-09"},
        until="2026-03-10T08:00:00Z",
        policy_key="business",
        policy_version=1,
        touch_id=None,
        demand_id=None,
        final=False,
    )

    id: UUID
    at: datetime
    on_date: date
    timezone: str | None
    customer_id: UUID
    invoice_id: UUID
    invoice_number: str
    step: str
    outcome: Literal["sent", "merged", "suppressed", "skipped", "deferred"]
    rule: str
    inputs: dict[str, Any]
    until: datetime | None
    policy_key: str
    policy_version: int
    touch_id: UUID | None
    demand_id: UUID | None
    final: bool

    @classmethod
    def of(cls, row: Row[Any]) -> DecisionOut:
        return cls.model_validate(dict(row._mapping))


@router.get("", summary="Read the decision log", responses=problem_responses(401, 403, 422))
async def list_decisions(
    session: SessionDep,
    caller: Reader,
    page: PageDep,
    invoice: InvoiceQuery = None,
    customer: CustomerQuery = None,
    on: Annotated[
        date | None, Query(description="A day at the customer's place: its rows, and what waited then.")
    ] = None,
    rule: Annotated[str | None, Query(max_length=40)] = None,
    outcome: Annotated[str | None, Query(max_length=20)] = None,
    updated_since: Annotated[AwareDatetime | None, Query(description="Only what was decided since.")] = None,
) -> Listing[DecisionOut]:
    """Oldest first."""
    c = t.decision.c
    zone = t.customer.c.snapshot["timezone"].astext.label("timezone")
    chosen = select(t.decision, zone).join(t.customer, t.customer.c.id == c.customer_id)
    chosen = chosen.where(c.seller_id == caller.seller_id)
    if invoice is not None:
        chosen = chosen.where(of_invoice(c.invoice_id, c.invoice_number, invoice))
    if customer is not None:
        chosen = chosen.where(of_customer(c.customer_id, caller.seller_id, customer))
    if on is not None:
        chosen = chosen.where(or_(c.on_date == on, _waiting(on)))
    if rule is not None:
        chosen = chosen.where(c.rule == rule)
    if outcome is not None:
        chosen = chosen.where(c.outcome == outcome)
    if updated_since is not None:
        chosen = chosen.where(c.at >= updated_since)
    rows, next_cursor = await paginate(session, chosen, page, c.at, c.id)
    return Listing(data=[DecisionOut.of(row) for row in rows], next_cursor=next_cursor)


def _waiting(on: date) -> ColumnElement[bool]:
    """Deferred before that day, and nothing more said of the step by its end."""
    c, later = t.decision.c, t.decision.alias("later")
    said = exists(
        select(later.c.id).where(
            later.c.invoice_id == c.invoice_id,
            later.c.step == c.step,
            later.c.demand_id.is_not_distinct_from(c.demand_id),
            later.c.on_date <= on,
            or_(later.c.at > c.at, and_(later.c.at == c.at, later.c.id > c.id)),
        )
    )
    return and_(c.outcome == "deferred", c.on_date < on, ~said)
