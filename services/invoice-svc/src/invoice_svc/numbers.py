"""Invoice numbers Remit gives: one sequence per seller and series, without gaps."""

from __future__ import annotations

from uuid import UUID

from remit_events.session import Session
from remit_service.bulk import fetch

SERIES = "R"

# The row stays locked to the commit and a rollback gives the numbers back: hence no gaps, and hence taken last.
# One statement, for everybody else waits meanwhile: R-000001 and so on, but those a caller gave to an invoice.
_TAKE = """
WITH taken AS (
    INSERT INTO number_series AS s (seller_id, series, last_number) VALUES (:seller_id, :series, :count)
    ON CONFLICT (seller_id, series) DO UPDATE SET last_number = s.last_number + :count
    RETURNING last_number
), fresh AS (
    SELECT n, :series || '-' || lpad(n::text, greatest(length(n::text), 6), '0') AS number
    FROM taken, generate_series(last_number - :count + 1, last_number) AS n
)
SELECT number FROM fresh
WHERE NOT EXISTS (SELECT FROM invoice WHERE invoice.seller_id = :seller_id AND invoice.number = fresh.number)
ORDER BY n
"""


async def take(session: Session, seller_id: UUID, count: int, *, series: str = SERIES) -> list[str]:
    """The next `count` numbers, in order. One that a caller gave to an invoice of theirs is passed over."""
    given: list[str] = []
    while len(given) < count:
        rows = await fetch(session, _TAKE, seller_id=seller_id, series=series, count=count - len(given))
        given += [row[0] for row in rows]
    return given
