"""What a person should know about a customer's data: said beside the answer, never acted upon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from invoice_svc.customers import Customer
from remit_events.session import Session
from remit_service.bulk import fetch
from remit_service.calendars import calendar

_SAME_ADDRESS = """
SELECT g.address, c.external_id FROM unnest(CAST(:emails AS text[])) AS g (address) CROSS JOIN LATERAL (
    SELECT external_id FROM customer WHERE seller_id = :seller_id AND lower(email) = g.address
    ORDER BY external_id LIMIT :most) AS c
UNION ALL
SELECT g.address, c.external_id FROM unnest(CAST(:phones AS text[])) AS g (address) CROSS JOIN LATERAL (
    SELECT external_id FROM customer WHERE seller_id = :seller_id AND phone = g.address
    ORDER BY external_id LIMIT :most) AS c
"""
MOST_NAMED = 5


async def notes_of(
    session: Session, seller_id: UUID, customers: Sequence[Customer], filled: Iterable[UUID]
) -> dict[UUID, list[str]]:
    """Per customer what to say, in one query. `filled`: those whose zone was left blank by the caller."""
    same: dict[str, list[str]] = {}
    emails = {one.email.lower() for one in customers if one.email}
    phones = {one.phone for one in customers if one.phone}
    if emails or phones:
        for address, external_id in await fetch(
            session,
            _SAME_ADDRESS,
            seller_id=seller_id,
            emails=sorted(emails),
            phones=sorted(phones),
            most=MOST_NAMED + 2,
        ):
            same.setdefault(address, []).append(external_id)
    blank = set(filled)
    return {one.id: [*_of_place(one, one.id in blank), *_duplicates(one, same)] for one in customers}


def _of_place(customer: Customer, blank: bool) -> list[str]:
    notes = []
    if customer.timezone is None:
        notes.append(
            f"Customer {customer.external_id}: {customer.country} has several time zones and none was given, so "
            "messages go only at hours that suit all of them."
        )
    elif blank:
        notes.append(
            f"Customer {customer.external_id}: time zone {customer.timezone} filled in, as {customer.country} has one."
        )
    if not calendar(customer.country).known:
        notes.append(
            f"Customer {customer.external_id}: the holidays of {customer.country} are unknown here; only weekends are "
            "kept free."
        )
    return notes


def _duplicates(customer: Customer, same: Mapping[str, Sequence[str]]) -> list[str]:
    email = customer.email.lower() if customer.email else None
    notes = []
    for what, mine in (("e-mail address", email), ("phone number", customer.phone)):
        others = [one for one in same.get(mine or "", ()) if one != customer.external_id]
        if others:
            named = ", ".join(others[:MOST_NAMED]) + (" and others" if len(others) > MOST_NAMED else "")
            notes.append(f"Customer {customer.external_id} has the same {what} as {named}: possibly the same customer.")
    return notes
