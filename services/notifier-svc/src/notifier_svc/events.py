"""What notifier-svc tells the others about deliveries."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from notifier_svc.claims import Claim, Job
from notifier_svc.planning import Hand, Plan
from remit_events.notifications import ReminderCancelled, ReminderFailed, ReminderSent, ReminderUnknown
from remit_events.schedule import Item
from remit_events.state import Channel, Stage


@dataclass(frozen=True, slots=True)
class Ref:
    """Which delivery an event is about: the fields all delivery events share."""

    seller_id: UUID
    customer_id: UUID
    delivery_id: UUID
    touch_id: UUID
    stage: Stage
    step: str
    channel: Channel
    recipient_sha256: str
    items: tuple[Item, ...]

    @classmethod
    def of(cls, claim: Claim, job: Job, items: tuple[Item, ...]) -> Self:
        return cls(
            seller_id=claim.seller.id,
            customer_id=claim.customer.id,
            delivery_id=job.id,
            touch_id=claim.id,
            stage=claim.stage,
            step=claim.step,
            channel=job.channel,
            recipient_sha256=job.recipient_sha256,
            items=items,
        )

    @property
    def shared(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def sent(hand: Hand, at: datetime, provider_id: str) -> ReminderSent:
    return ReminderSent(
        **Ref.of(hand.claim, hand.job, hand.verdict.kept).shared,
        sent_at=at,
        tone=hand.claim.tone,
        language=hand.rendered.language,
        provider=hand.way.provider.name,
        provider_id=provider_id,
        digest=hand.rendered.digest,
    )


def failed(ref: Ref, reason_class: str, reason: str, *, touch_failed: bool) -> ReminderFailed:
    return ReminderFailed(**ref.shared, reason_class=reason_class, reason=reason, touch_failed=touch_failed)


def unknown(ref: Ref, reason: str) -> ReminderUnknown:
    return ReminderUnknown(**ref.shared, reason=reason)


def cancellation(plan: Plan) -> ReminderCancelled | None:
    """A touch of which a channel has gone already is not taken back: its items were said."""
    claim, verdict = plan.claim, plan.verdict
    dropped = verdict.dropped if verdict else ()
    if claim.sent or not (plan.cancelled or (dropped and plan.hands)):
        return None
    return ReminderCancelled(
        seller_id=claim.seller.id,
        customer_id=claim.customer.id,
        touch_id=claim.id,
        stage=claim.stage,
        step=claim.step,
        rule=plan.cancelled or dropped[0].rule,
        dropped=dropped,
        kept=verdict.kept if verdict else claim.body.items,
        whole=bool(plan.cancelled),
    )
