"""Storing customers as other systems send them, one or a thousand, in the same number of statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from invoice_svc import customers
from invoice_svc.customer_notes import notes_of
from invoice_svc.customers import Customer
from invoice_svc.inputs import CustomerIn
from remit_events.envelope import Event
from remit_events.outbox import emit
from remit_events.session import Session
from remit_service.problems import FieldError, Problem, conflict


@dataclass(frozen=True, slots=True)
class Saved:
    """A customer as stored; `notes` say what a person should know."""

    customer: Customer
    created: bool
    notes: list[str]


async def save(
    session: Session, seller_id: UUID, given: Sequence[CustomerIn], now: datetime, *, upsert: bool
) -> list[Saved | Problem]:
    """Makes customers; one whose external id is known is replaced with `upsert`, else a 409 problem in its place."""
    known = await customers.lock_external(session, seller_id, [one.external_id for one in given])
    old = set(known)
    changed: dict[str, Customer] = {}
    created: list[Customer] = []
    events: list[Event] = []
    outcomes: list[tuple[Customer, bool] | Problem] = []
    for one in given:
        there = known.get(one.external_id)
        if there is not None and not upsert:
            outcomes.append(duplicate(one.external_id))
            continue
        if there is None:
            there, event = Customer.create(seller_id, one, now)
            known[one.external_id] = there
            created.append(there)
            events.append(event)
            outcomes.append((there, True))
            continue
        update = there.update(one, now)
        outcomes.append((there, False))
        if update is not None:
            events.append(update)
            if one.external_id in old:
                changed[one.external_id] = there
    if len(await customers.insert(session, created)) < len(created):
        detail = "Another request is making a customer with the same external_id. Send this one again."
        raise conflict("customer-in-progress", detail)
    await customers.update(session, changed.values())
    await emit(session, events, now=now)
    saved = [one for one in outcomes if not isinstance(one, Problem)]
    blank = {one.external_id for one in given if one.timezone is None}
    filled = [one.id for one, _ in saved if one.external_id in blank]
    notes = await notes_of(session, seller_id, [one for one, _ in saved], filled)
    return [one if isinstance(one, Problem) else Saved(*one, notes[one[0].id]) for one in outcomes]


def duplicate(external_id: str) -> Problem:
    detail = (
        f"A customer with the external id {external_id} exists. Change them with "
        f"PUT /v1/customers/by-external-id/{external_id}."
    )
    fault = FieldError("/external_id", "duplicate", detail, external_id)
    return Problem("duplicate-customer", 409, "Conflict", detail, [fault])
