"""When every channel of a touch has failed, and the way that is left to an invoice then: the letter.

The scheduler decides what becomes of a follow-up that failed; an invoice nobody decides again.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from notifier_svc.contacts import address_of
from notifier_svc.storage import NewDelivery, add_deliveries
from remit_events.session import Session
from remit_events.state import Channel, CustomerState

# A touch has failed when no channel of it went, may have gone, or still may go.
_FAILED = text("""
SELECT touch.id FROM touch WHERE touch.id = ANY(CAST(:ids AS uuid[])) AND NOT EXISTS (
    SELECT FROM delivery WHERE delivery.touch_id = touch.id
    AND delivery.status IN ('pending', 'sending', 'sent', 'unknown'))
""")

_INVOICES = text("""
SELECT touch.id, touch.seller_id, touch.customer_id, customer.snapshot AS customer
FROM touch JOIN customer ON customer.id = touch.customer_id
WHERE touch.id = ANY(CAST(:ids AS uuid[])) AND touch.stage = 'invoice' AND touch.valid_until > :now AND NOT EXISTS (
    SELECT FROM delivery WHERE delivery.touch_id = touch.id AND delivery.channel = 'letter')
ORDER BY touch.id
""")

_DUE = text("UPDATE touch SET next_at = :now WHERE id = ANY(CAST(:ids AS uuid[]))")


async def failed_touches(session: Session, touch_ids: Collection[UUID], now: datetime) -> set[UUID]:
    """Those of the touches whose every channel has certainly failed, once invoices have been given their letter."""
    failed = set((await session.execute(_FAILED, {"ids": list(touch_ids)})).scalars())
    return failed - await _by_letter(session, failed, now) if failed else failed


async def _by_letter(session: Session, failed: Collection[UUID], now: datetime) -> set[UUID]:
    """Puts the invoices among them on paper, where there is an address; gives which."""
    letters = []
    for row in await session.fetch(_INVOICES, {"ids": list(failed), "now": now}):
        address = address_of(CustomerState.model_validate(row.customer), Channel.LETTER)
        if address:
            letters.append((row.seller_id, row.customer_id, NewDelivery.to(address, row.id, None, now)))
    if not letters:
        return set()
    await add_deliveries(session, letters, now)
    given = {one.touch_id for _, _, one in letters}
    await session.execute(_DUE, {"ids": list(given), "now": now})
    return given
