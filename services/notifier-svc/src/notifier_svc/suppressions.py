"""Closed addresses: who may not be written to where, why, and how an address opens again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import bindparam, select, text
from uuid6 import uuid7

from notifier_svc.tables import customer
from remit_events.notifications import ContactRestored, ContactSuppressed
from remit_events.session import Session
from remit_events.state import Channel


@dataclass(frozen=True, slots=True)
class Closing:
    """An address to be closed. `kind` courtesy: required notices still go, by letter (an unsubscription)."""

    seller_id: UUID
    customer_id: UUID
    channel: Channel
    address_sha256: str
    kind: str
    reason: str
    note: str | None = None


# What is closed wholly stays so: an unsubscription does not soften a hard bounce.
_CLOSE = text("""
INSERT INTO suppression (id, seller_id, channel, address_sha256, kind, reason, note, created_at)
SELECT DISTINCT ON (seller_id, channel, address_sha256)
       id, seller_id, channel, address_sha256, kind, reason, note, CAST(:now AS timestamptz)
FROM json_to_recordset(CAST(:rows AS json)) AS r (
    id uuid, seller_id uuid, channel text, address_sha256 text, kind text, reason text, note text)
ORDER BY seller_id, channel, address_sha256, kind DESC
ON CONFLICT ON CONSTRAINT suppression_once DO UPDATE SET kind = excluded.kind, reason = excluded.reason,
    note = excluded.note, created_at = excluded.created_at
WHERE suppression.kind = 'courtesy' AND excluded.kind = 'full'
RETURNING seller_id, channel, address_sha256
""")

_CLOSED_NOW = text("""
SELECT seller_id, channel, address_sha256 FROM suppression WHERE address_sha256 = ANY(CAST(:hashes AS text[]))
""")

_OPEN = text("""
DELETE FROM suppression WHERE seller_id = :seller_id AND channel = :channel AND address_sha256 = :address_sha256
AND (CAST(:only AS text) IS NULL OR reason = :only) RETURNING id
""")

_WHO = {
    channel: select(customer.c.id, customer.c.seller_id)
    .where(column == bindparam("address_sha256"))
    .order_by(customer.c.id)
    .with_for_update()
    for channel, column in {
        Channel.EMAIL: customer.c.email_sha256,
        Channel.SMS: customer.c.phone_sha256,
        Channel.LETTER: customer.c.letter_sha256,
    }.items()
}


async def close_addresses(session: Session, closing: Sequence[Closing], now: datetime) -> list[ContactSuppressed]:
    """Closes what is open; gives an event for each that changed. The caller holds the customers' locks."""
    rows = [
        {
            "id": uuid7(),
            "seller_id": one.seller_id,
            "channel": one.channel,
            "address_sha256": one.address_sha256,
            "kind": one.kind,
            "reason": one.reason,
            "note": one.note,
        }
        for one in closing
    ]
    changed = {
        (row.seller_id, row.channel, row.address_sha256)
        for row in await session.execute(_CLOSE, {"rows": to_json(rows).decode(), "now": now})
    }
    return [
        ContactSuppressed(
            seller_id=one.seller_id,
            customer_id=one.customer_id,
            channel=one.channel,
            recipient_sha256=one.address_sha256,
            reason=one.reason,
        )
        for one in closing
        if (one.seller_id, one.channel.value, one.address_sha256) in changed
    ]


async def open_address(
    session: Session,
    seller_id: UUID,
    customer_ids: Sequence[UUID],
    channel: Channel,
    address_sha256: str,
    why: str,
    *,
    only: str | None = None,
) -> list[ContactRestored]:
    """Opens an address again, with `only` when it was closed for that reason; no events when it was open."""
    values: dict[str, Any] = {
        "seller_id": seller_id,
        "channel": channel.value,
        "address_sha256": address_sha256,
        "only": only,
    }
    if (await session.execute(_OPEN, values)).first() is None:
        return []
    return [
        ContactRestored(
            seller_id=seller_id,
            customer_id=customer_id,
            channel=channel,
            recipient_sha256=address_sha256,
            reason=why,
        )
        for customer_id in customer_ids
    ]


async def customers_at(session: Session, channel: Channel, address_sha256: str) -> dict[UUID, list[UUID]]:
    """Per seller the customers reached at that address, locked in id order."""
    found: dict[UUID, list[UUID]] = {}
    for row in await session.execute(_WHO[channel], {"address_sha256": address_sha256}):
        found.setdefault(row.seller_id, []).append(row.id)
    return found


async def customers_of(session: Session, seller_id: UUID, channel: Channel, address_sha256: str) -> list[UUID]:
    """One seller's customers at that address, locked in id order."""
    return (await customers_at(session, channel, address_sha256)).get(seller_id, [])


async def closed_since(session: Session, hashes: Collection[str]) -> set[tuple[UUID, str, str]]:
    """Which of these addresses are closed now, as (seller, channel, address hash)."""
    rows = await session.execute(_CLOSED_NOW, {"hashes": list(hashes)})
    return {(row.seller_id, row.channel, row.address_sha256) for row in rows}
