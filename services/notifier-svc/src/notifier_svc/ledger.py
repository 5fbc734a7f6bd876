"""Deliveries as they stand, and the transitions that come from outside: callbacks, reconciliation, a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text

from notifier_svc import events
from notifier_svc.events import Ref
from notifier_svc.fallback import failed_touches
from notifier_svc.gate import FOLLOW_UP
from notifier_svc.hours import local_day
from notifier_svc.suppressions import Closing, close_addresses
from notifier_svc.touches import TouchBody
from remit_events.envelope import Event
from remit_events.notifications import ReminderDelivered, ReminderSent
from remit_events.schedule import Item
from remit_events.session import Session
from remit_events.state import Channel, CustomerState, Stage, Tone

_ITEMS = TypeAdapter(tuple[Item, ...])


@dataclass(frozen=True, slots=True)
class Stored:
    """One delivery with what an event about it says; `items` as they were sent, else as decided."""

    ref: Ref
    status: str
    attempts: int
    tone: Tone | None
    recipient: str
    provider: str
    provider_id: str
    provider_status: str | None
    language: str
    digest: str
    sms: str | None
    sending_at: datetime | None
    customer: CustomerState

    @property
    def id(self) -> UUID:
        return self.ref.delivery_id


_COLUMNS = """
    delivery.id, delivery.touch_id, delivery.seller_id, delivery.customer_id, delivery.channel, delivery.recipient,
    delivery.recipient_sha256, delivery.status, delivery.attempts, delivery.provider, delivery.provider_id,
    delivery.provider_status, delivery.digest, delivery.sending_at, touch.stage, touch.step, touch.tone, touch.body,
    content.language, content.items, content.sms, customer.snapshot AS customer
FROM delivery JOIN touch ON touch.id = delivery.touch_id JOIN customer ON customer.id = delivery.customer_id
LEFT JOIN content ON content.touch_id = delivery.touch_id AND content.digest = delivery.digest
"""

# The customer before the delivery, and in id order, as everywhere events are emitted.
_LOCKED = text(f"""
SELECT {_COLUMNS} WHERE delivery.id = ANY(CAST(:ids AS uuid[]))
ORDER BY customer.id, delivery.id FOR UPDATE OF customer, delivery
""")

_FIND = text("SELECT id FROM delivery WHERE provider_id = :provider_id AND provider = :provider")

_SENT = text("""
WITH sent AS (
    UPDATE delivery SET status = 'sent', provider_id = coalesce(:provider_id, provider_id), sent_at = :at,
        error_class = NULL, error = NULL, note = coalesce(CAST(:note AS text), note), updated_at = :now
    WHERE id = :id RETURNING touch_id
), reminders AS (
    INSERT INTO reminder (invoice_id, touch_id, sent_on)
    SELECT DISTINCT invoice_id, sent.touch_id, CAST(:today AS date)
    FROM sent, unnest(CAST(:reminded AS uuid[])) AS invoice_id
    ON CONFLICT DO NOTHING
)
UPDATE touch SET sent_at = coalesce(touch.sent_at, :at) FROM sent WHERE touch.id = sent.touch_id
""")

_FAILED = text("""
UPDATE delivery SET status = 'failed', error_class = :error_class, error = :error, next_attempt_at = NULL,
    note = coalesce(CAST(:note AS text), note), updated_at = :now
WHERE id = :id
""")

_HEARD = text("""
UPDATE delivery SET provider_status = :status, updated_at = :now,
    delivered_at = coalesce(delivered_at, CAST(:delivered_at AS timestamptz))
WHERE id = :id
""")


async def locked(session: Session, ids: Sequence[UUID]) -> list[Stored]:
    """The deliveries with their customers' rows locked, in id order."""
    rows = await session.execute(_LOCKED, {"ids": list(ids)})
    return [_stored(row) for row in rows]


async def find(session: Session, provider: str, provider_id: str) -> UUID | None:
    found: UUID | None = await session.scalar(_FIND, {"provider": provider, "provider_id": provider_id})
    return found


async def sent(
    session: Session, one: Stored, at: datetime, now: datetime, *, provider_id: str | None = None, note: str = ""
) -> list[Event]:
    """It went after all: what was unknown (or still under way) is sent."""
    today = local_day(one.customer, at)
    counts = one.ref.stage in FOLLOW_UP and one.ref.stage is not Stage.DEMAND
    reminded = [
        item.invoice.id for item in one.ref.items if counts and item.invoice.due_date and item.invoice.due_date < today
    ]
    values = {"id": one.id, "provider_id": provider_id, "at": at, "now": now, "note": note or None, "today": today}
    await session.execute(_SENT, values | {"reminded": reminded})
    event = ReminderSent(
        **one.ref.shared,
        sent_at=at,
        tone=one.tone,
        language=one.language,
        provider=one.provider,
        provider_id=provider_id or one.provider_id,
        digest=one.digest,
    )
    return [event]


async def failed(
    session: Session,
    one: Stored,
    reason_class: str,
    reason: str,
    now: datetime,
    *,
    closes: str | None = None,
    note: str = "",
) -> list[Event]:
    """It certainly did not arrive, though it may have been accepted before; `closes` ends the address."""
    values = {"id": one.id, "error_class": reason_class, "error": reason, "note": note or None, "now": now}
    await session.execute(_FAILED, values)
    lost = await failed_touches(session, [one.ref.touch_id], now)
    told: list[Event] = [events.failed(one.ref, reason_class, reason, touch_failed=one.ref.touch_id in lost)]
    if closes:
        ref = one.ref
        closing = Closing(ref.seller_id, ref.customer_id, ref.channel, ref.recipient_sha256, "full", closes)
        told += await close_addresses(session, [closing], now)
    return told


async def heard(session: Session, one: Stored, status: str, now: datetime) -> list[Event]:
    """The provider's own word for where it is; `delivered` is told once."""
    arrived = status in ("delivered", "read")
    values = {"id": one.id, "status": status, "delivered_at": now if arrived else None, "now": now}
    await session.execute(_HEARD, values)
    if not arrived or one.provider_status in ("delivered", "read"):
        return []
    return [ReminderDelivered(**one.ref.shared, delivered_at=now)]


def _stored(row: Any) -> Stored:
    body = TouchBody.model_validate(row.body)
    ref = Ref(
        seller_id=row.seller_id,
        customer_id=row.customer_id,
        delivery_id=row.id,
        touch_id=row.touch_id,
        stage=Stage(row.stage),
        step=row.step,
        channel=Channel(row.channel),
        recipient_sha256=row.recipient_sha256,
        items=_ITEMS.validate_python(row.items) if row.items else body.items,
    )
    return Stored(
        ref=ref,
        status=row.status,
        attempts=row.attempts,
        tone=Tone(row.tone) if row.tone else None,
        recipient=row.recipient,
        provider=row.provider or "",
        provider_id=row.provider_id or "",
        provider_status=row.provider_status,
        language=row.language or "",
        digest=row.digest or "",
        sms=row.sms,
        sending_at=row.sending_at,
        customer=CustomerState.model_validate(row.customer),
    )
