"""What is due is claimed touch by touch: one statement brings all that the decision about a batch needs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from notifier_svc.gate import FOLLOW_UP
from notifier_svc.touches import TouchBody
from remit_events.session import Session
from remit_events.state import Channel, CustomerState, SellerState, Stage, Tone

# Longer than asking and deciding ever takes; a worker that dies meanwhile lets its claims go.
LEASE = timedelta(seconds=60)


@dataclass(slots=True)
class Job:
    """One pending delivery of a claimed touch. `closed` is the kind of suppression on its address."""

    id: UUID
    channel: Channel
    recipient: str
    recipient_sha256: str
    message_id: str
    attempts: int
    closed: str | None


@dataclass(slots=True)
class Claim:
    """A touch with those of its deliveries that are due. `sent`: a channel of it has gone, or may have."""

    id: UUID
    seller: SellerState
    customer: CustomerState
    stage: Stage
    step: str
    tone: Tone | None
    body: TouchBody
    attempts: int
    held_by: str | None
    valid_until: datetime
    traceparent: str | None
    sent: bool
    live: bool
    jobs: list[Job]

    @property
    def is_follow_up(self) -> bool:
        return self.stage in FOLLOW_UP

    @property
    def invoice_ids(self) -> list[UUID]:
        return [item.invoice.id for item in self.body.items]


@dataclass(slots=True)
class Batch:
    """What one worker holds: nobody else may send it while its `token` stands in the rows."""

    token: UUID
    claims: list[Claim]
    taken: Counter[str] = field(default_factory=Counter)  # by each provider

    def divided(self, size: int) -> tuple[Batch, Batch]:
        """Its first touches and the others."""
        return replace(self, claims=self.claims[:size]), replace(self, claims=self.claims[size:])


# A touch whose seller is not known here yet joins nothing and is looked at again when its lease has passed. JSON comes
# as text: what is made a model of needs not be made dictionaries of before.
_CLAIM = text("""
WITH due AS MATERIALIZED (
    SELECT id FROM touch WHERE next_at <= :now ORDER BY next_at, id LIMIT :size FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE touch SET next_at = :lease, claim = :token, worker = :worker FROM due WHERE touch.id = due.id
    RETURNING touch.*
)
SELECT claimed.id, claimed.stage, claimed.step, claimed.tone, claimed.body::text AS body, claimed.attempts,
       claimed.held_by, claimed.valid_until, claimed.traceparent, EXISTS (
           SELECT FROM delivery AS other WHERE other.touch_id = claimed.id
           AND other.status IN ('sending', 'sent', 'unknown')) AS sent,
       customer.snapshot::text AS customer, seller.id AS seller_id, seller.version AS seller_version,
       seller.snapshot::text AS seller, coalesce(live_switch.is_on, false) AS live,
       delivery.id AS delivery_id, delivery.channel, delivery.recipient, delivery.recipient_sha256,
       delivery.message_id, delivery.attempts AS tries, suppression.kind
FROM claimed
JOIN customer ON customer.id = claimed.customer_id
JOIN seller ON seller.id = claimed.seller_id
JOIN delivery ON delivery.touch_id = claimed.id AND delivery.status = 'pending' AND delivery.next_attempt_at <= :now
LEFT JOIN live_switch ON live_switch.seller_id = claimed.seller_id
LEFT JOIN suppression ON suppression.seller_id = claimed.seller_id AND suppression.channel = delivery.channel
    AND suppression.address_sha256 = delivery.recipient_sha256
ORDER BY claimed.customer_id, claimed.id, delivery.channel
""")

_NEXT = text("SELECT min(next_at) FROM touch WHERE next_at IS NOT NULL")

_REMINDERS = text("""
SELECT reminder.invoice_id, count(*) AS sent FROM reminder
WHERE reminder.invoice_id = ANY(CAST(:ids AS uuid[])) AND EXISTS (
    SELECT FROM delivery WHERE delivery.touch_id = reminder.touch_id AND delivery.status = 'sent')
GROUP BY reminder.invoice_id
""")


Sellers = dict[UUID, SellerState]


async def claim(session: Session, now: datetime, size: int, worker: int, sellers: Sellers) -> Batch:
    """Takes up to `size` touches that are due, passing over what others hold; `sellers` keeps what was parsed.

    One statement, which needs no transaction around it.
    """
    token = uuid4()
    values = {"now": now, "size": size, "lease": now + LEASE, "token": token, "worker": worker}
    rows = await session.execute(_CLAIM, values)
    claims: dict[UUID, Claim] = {}
    for row in rows:
        found = claims.get(row.id) or claims.setdefault(row.id, _claim(row, sellers))
        job = Job(
            row.delivery_id, Channel(row.channel), row.recipient, row.recipient_sha256, row.message_id, row.tries,
            row.kind,
        )  # fmt: skip
        found.jobs.append(job)
    return Batch(token, list(claims.values()))


def _claim(row: Any, sellers: Sellers) -> Claim:
    return Claim(
        id=row.id,
        seller=_seller(row, sellers),
        customer=CustomerState.model_validate_json(row.customer),
        stage=Stage(row.stage),
        step=row.step,
        tone=Tone(row.tone) if row.tone else None,
        body=TouchBody.model_validate_json(row.body),
        attempts=row.attempts,
        held_by=row.held_by,
        valid_until=row.valid_until,
        traceparent=row.traceparent,
        sent=row.sent,
        live=row.live,
        jobs=[],
    )


def _seller(row: Any, sellers: Sellers) -> SellerState:
    """Parsed once per version."""
    known = sellers.get(row.seller_id)
    if known is None or known.version != row.seller_version:
        known = sellers[row.seller_id] = SellerState.model_validate_json(row.seller)
    return known


async def next_due(session: Session) -> datetime | None:
    found: datetime | None = await session.scalar(_NEXT)
    return found


async def reminders_sent(session: Session, invoice_ids: list[UUID]) -> dict[UUID, int]:
    """Per invoice: distinct touches after its due date with at least one delivery sent and not failed since."""
    rows = await session.execute(_REMINDERS, {"ids": invoice_ids})
    return {row.invoice_id: row.sent for row in rows}
