"""Finding invoices by status, customer, due date, number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, or_, select

from invoice_svc import days
from invoice_svc.invoices import OPEN
from invoice_svc.tables import customer
from invoice_svc.tables import invoice as table
from remit_events.session import Session
from remit_service.bulk import among, as_uuid

# No place is further from UTC than 14 hours.
FARTHEST = timedelta(hours=14)


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list is narrowed to; None: not by this."""

    status: str | None = None
    customer: str | None = None
    due_before: date | None = None
    overdue: bool | None = None
    external_id: str | None = None
    number: str | None = None
    updated_since: datetime | None = None


async def select_invoices(session: Session, seller_id: UUID, wanted: Filter, now: datetime) -> Select[Any]:
    """The statement that reads them."""
    chosen = select(table).where(table.c.seller_id == seller_id)
    if wanted.status is not None:
        chosen = chosen.where(among(table.c.status, OPEN if wanted.status == "open" else [wanted.status]))
    if wanted.customer is not None:
        chosen = chosen.where(_of_customer(seller_id, wanted.customer))
    if wanted.due_before is not None:
        chosen = chosen.where(table.c.due_date < wanted.due_before)
    for column, value in ((table.c.external_id, wanted.external_id), (table.c.number, wanted.number)):
        if value is not None:
            chosen = chosen.where(column == value)
    if wanted.updated_since is not None:
        chosen = chosen.where(table.c.updated_at >= wanted.updated_since)
    if wanted.overdue is not None:
        overdue = among(table.c.status, OPEN) & await _overdue(session, seller_id, now)
        chosen = chosen.where(overdue if wanted.overdue else or_(~overdue, table.c.due_date.is_(None)))
    return chosen


def _of_customer(seller_id: UUID, key: str) -> ColumnElement[bool]:
    known = as_uuid(key)
    named = customer.c.external_id == key
    by = named | (customer.c.id == known) if known else named
    return table.c.customer_id.in_(select(customer.c.id).where(customer.c.seller_id == seller_id, by))


async def _overdue(session: Session, seller_id: UUID, now: datetime) -> ColumnElement[bool]:
    """Due on a day that is over at the customer's place; only near the date line of now do places differ."""
    surely, perhaps = (now - FARTHEST).date(), (now + FARTHEST).date()
    near = (
        select(table.c.id, table.c.due_date, customer.c.timezone, customer.c.country)
        .join(customer, customer.c.id == table.c.customer_id)
        .where(
            table.c.seller_id == seller_id,
            among(table.c.status, OPEN),
            table.c.due_date >= surely,
            table.c.due_date < perhaps,
        )
    )
    over = [row.id for row in await session.execute(near) if row.due_date < days.today(now, row)]
    return (table.c.due_date < surely) | among(table.c.id, over)
