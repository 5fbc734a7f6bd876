"""Invoice numbers Remit gives: one sequence per seller and series, without gaps."""

from __future__ import annotations

from uuid import UUID

from remit_events.session import Session
from remit_service.bulk import fetch

SERIES = "R"

# The row stays locked to the commit and a rollback gives the numbers back: hence no gaps, and hence taken last.
_TAKE = """
INSERT INTO number_series AS s (seller_id, series, last_number) VALUES (:seller_id, :series, :count)
ON CONFLICT (seller_id, series) DO UPDATE SET last_number = s.last_number + :count
RETURNING last_number
"""
_TAKEN = "SELECT number FROM invoice WHERE seller_id = :seller_id AND number = ANY(CAST(:numbers AS text[]))"


async def take(session: Session, seller_id: UUID, count: int, *, series: str = SERIES) -> list[str]:
    """The next `count` numbers, in order. One that a caller gave to an invoice of theirs is passed over."""
    given: list[str] = []
    while len(given) < count:
        wanted = count - len(given)
        [(last,)] = await fetch(session, _TAKE, seller_id=seller_id, series=series, count=wanted)
        numbers = [f"{series}-{n:06d}" for n in range(last - wanted + 1, last + 1)]
        taken = {row[0] for row in await fetch(session, _TAKEN, seller_id=seller_id, numbers=numbers)}
        given += [number for number in numbers if number not in taken]
    return given
