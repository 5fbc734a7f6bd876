"""Touches and their deliveries on their way into the database: two statements per batch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import text
from uuid6 import uuid7

from notifier_svc.contacts import Address, Note
from notifier_svc.touches import Planned, TouchBody
from remit_events.session import Session
from remit_events.state import Channel, SellerState, Stage, Tone

TOO_OLD = "too-old"


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """One address of a touch; `message_id` is fixed now, `starts` is the first moment it may go."""

    id: UUID
    touch_id: UUID
    address: Address
    message_id: str
    starts: datetime

    @classmethod
    def to(cls, address: Address, touch_id: UUID, by: SellerState | None, starts: datetime) -> Self:
        identity = uuid7()
        domain = by.sender_email.rpartition("@")[2] if by and by.sender_email else "remit.invalid"
        return cls(identity, touch_id, address, f"{identity.hex}@{domain}", starts)


@dataclass(frozen=True, slots=True)
class NewTouch:
    """`waiting`: its customer has not arrived yet (topics have no order between them)."""

    planned: Planned
    deliveries: tuple[NewDelivery, ...]
    notes: tuple[Note, ...]
    waiting: bool

    @property
    def nobody(self) -> bool:
        """Whether it should reach somebody and cannot."""
        old = any(note.why == TOO_OLD for note in self.notes)
        return not self.deliveries and not self.waiting and not old


# A touch may come again with other channels, after those before have failed, or from the waiting room.
_TOUCHES = text("""
INSERT INTO touch (id, seller_id, customer_id, stage, step, tone, body, channels, notes, invoice_ids, waiting,
                   attempts, traceparent, created_at, valid_until, next_at)
SELECT id, seller_id, customer_id, stage, step, tone, body, channels, notes, invoice_ids, waiting,
       0, traceparent, CAST(:now AS timestamptz), valid_until, next_at
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given (
    id uuid, seller_id uuid, customer_id uuid, stage text, step text, tone text, body jsonb, channels text[],
    notes jsonb, invoice_ids uuid[], waiting bool, traceparent text, valid_until timestamptz, next_at timestamptz)
ON CONFLICT (id) DO UPDATE SET body = excluded.body, invoice_ids = excluded.invoice_ids, waiting = excluded.waiting,
    channels = CASE WHEN touch.waiting THEN excluded.channels ELSE touch.channels || excluded.channels END,
    notes = touch.notes || excluded.notes, valid_until = excluded.valid_until
RETURNING id, xmax = 0 AS fresh
""")

_DELIVERIES = text("""
INSERT INTO delivery (id, touch_id, seller_id, customer_id, channel, recipient, recipient_sha256, status, attempts,
                      message_id, created_at, next_attempt_at, updated_at)
SELECT id, touch_id, seller_id, customer_id, channel, recipient, recipient_sha256, 'pending', 0,
       message_id, CAST(:now AS timestamptz), starts, CAST(:now AS timestamptz)
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given (
    id uuid, touch_id uuid, seller_id uuid, customer_id uuid, channel text, recipient text, recipient_sha256 text,
    message_id text, starts timestamptz)
ON CONFLICT ON CONSTRAINT delivery_once DO NOTHING
RETURNING touch_id
""")

_NEXT_AT = text("""
UPDATE touch SET next_at = (
    SELECT min(next_attempt_at) FROM delivery WHERE delivery.touch_id = touch.id AND delivery.status = 'pending')
WHERE id = ANY(CAST(:ids AS uuid[]))
""")

_RELEASE = text("""
WITH released AS (
    UPDATE touch SET next_at = :now, held_by = NULL
    WHERE seller_id = :seller_id AND held_by = :why AND next_at > :now RETURNING id
)
UPDATE delivery SET next_attempt_at = :now FROM released
WHERE delivery.touch_id = released.id AND delivery.status = 'pending'
""")

_WAITING = text("SELECT * FROM touch WHERE waiting AND customer_id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")


async def store(session: Session, touches: Sequence[NewTouch], now: datetime) -> set[UUID]:
    """Inserts what is new, each touch at most once; a (touch, channel, recipient) already there stays as it is.

    Gives the touches of which all that was asked for is there already.
    """
    if not touches:
        return set()
    rows = [_touch_row(touch) for touch in touches]
    stored = (await session.execute(_TOUCHES, {"rows": to_json(rows).decode(), "now": now})).all()
    new = [(touch.planned.seller_id, touch.planned.customer_id, one) for touch in touches for one in touch.deliveries]
    added = await add_deliveries(session, new, now) if new else set()
    known = [row.id for row in stored if not row.fresh]
    if known:
        await session.execute(_NEXT_AT, {"ids": known})
    return {one.touch_id for _, _, one in new} - added


async def add_deliveries(session: Session, new: Sequence[tuple[UUID, UUID, NewDelivery]], now: datetime) -> set[UUID]:
    """Each with its seller and customer; gives the touches that got one which was not there yet."""
    rows = [_delivery_row(*one) for one in new]
    added = await session.fetch(_DELIVERIES, {"rows": to_json(rows).decode(), "now": now})
    return {row.touch_id for row in added}


def _touch_row(touch: NewTouch) -> dict[str, Any]:
    planned = touch.planned
    return {
        "id": planned.id,
        "seller_id": planned.seller_id,
        "customer_id": planned.customer_id,
        "stage": planned.stage,
        "step": planned.step,
        "tone": planned.tone,
        "body": planned.body,
        "channels": planned.channels,
        "notes": touch.notes,
        "invoice_ids": planned.invoice_ids,
        "waiting": touch.waiting,
        "traceparent": planned.traceparent,
        "valid_until": planned.valid_until,
        "next_at": min((one.starts for one in touch.deliveries), default=None),
    }


def _delivery_row(seller_id: UUID, customer_id: UUID, one: NewDelivery) -> dict[str, Any]:
    return {
        "id": one.id,
        "touch_id": one.touch_id,
        "seller_id": seller_id,
        "customer_id": customer_id,
        "channel": one.address.channel,
        "recipient": one.address.recipient,
        "recipient_sha256": one.address.sha256,
        "message_id": one.message_id,
        "starts": one.starts,
    }


async def release(session: Session, seller_id: UUID, why: str, now: datetime) -> None:
    """What was held for that reason is looked at again at once."""
    await session.execute(_RELEASE, {"seller_id": seller_id, "why": why, "now": now})


async def take_waiting(session: Session, customer_ids: Collection[UUID]) -> list[Planned]:
    """Touches that waited for a customer who has arrived."""
    if not customer_ids:
        return []
    rows = await session.execute(_WAITING, {"ids": sorted(customer_ids)})
    return [_planned(row) for row in rows]


def _planned(row: Any) -> Planned:
    stage = Stage(row.stage)
    return Planned(
        id=row.id,
        seller_id=row.seller_id,
        customer_id=row.customer_id,
        stage=stage,
        step=row.step,
        tone=Tone(row.tone) if row.tone else None,
        body=TouchBody.model_validate(row.body),
        channels=tuple(Channel(channel) for channel in row.channels),
        valid_until=row.valid_until,
        traceparent=row.traceparent,
        first_reachable=stage is Stage.INVOICE,
        stored=True,
    )
