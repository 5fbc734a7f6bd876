"""What a review decided as events: messages to send, and why others are not sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from remit_events.envelope import Event
from remit_events.schedule import FollowUpExhausted, PaymentDue, TouchDeferred, TouchSuppressed
from scheduler_svc.ledger import Debtor
from scheduler_svc.review import Review
from scheduler_svc.work import Decision, Touch


def events_of(debtor: Debtor, result: Review, decision_ids: list[UUID], now: datetime) -> Iterator[Event]:
    """In the order they are told; `decision_ids` go with the review's decisions."""
    for decision, decision_id in zip(result.decisions, decision_ids, strict=True):
        yield decision_event(debtor, decision, decision_id)
    for touch in result.touches:
        yield payment_due(debtor, touch, now)
    for one in result.exhausted:
        yield FollowUpExhausted(
            seller_id=debtor.seller_id,
            customer_id=debtor.id,
            invoice=one.invoice,
            policy_key=one.policy.key,
            policy_version=one.policy.version,
        )


def payment_due(debtor: Debtor, touch: Touch, now: datetime) -> PaymentDue:
    return PaymentDue(
        seller_id=debtor.seller_id,
        customer_id=debtor.id,
        touch_id=touch.id,
        stage=touch.stage,
        step=touch.step,
        tone=touch.tone,
        template=touch.template,
        channels=touch.channels,
        items=touch.content,
        decided_at=now,
        local_date=touch.local_date,
        valid_until=touch.valid_until,
        policy_key=touch.policies[0].key,
        policy_version=touch.policies[0].version,
        window=touch.window,
        demand=touch.demand,
    )


def decision_event(debtor: Debtor, decision: Decision, decision_id: UUID) -> TouchSuppressed | TouchDeferred:
    """Of anything but `sent`, which ReminderSent tells."""
    shared: dict[str, Any] = {
        "seller_id": debtor.seller_id,
        "customer_id": debtor.id,
        "decision_id": decision_id,
        "invoice_id": decision.invoice.id,
        "invoice_number": decision.invoice.number,
        "step": decision.step,
        "rule": decision.rule,
        "inputs": dict(decision.inputs),
        "policy_key": decision.policy.key,
        "policy_version": decision.policy.version,
        "demand_id": decision.demand_id,
    }
    if decision.outcome == "deferred":
        return TouchDeferred(**shared, until=decision.until)
    return TouchSuppressed(**shared, outcome=decision.outcome)
