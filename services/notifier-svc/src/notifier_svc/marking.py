"""Decisions into the database: `sending` is committed before any provider hears of a message.

One statement for a batch. It does nothing to a touch whose claim has passed to another worker meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import text

from notifier_svc import events
from notifier_svc.claims import Job
from notifier_svc.fallback import failed_touches
from notifier_svc.links import remember
from notifier_svc.planning import Hand, Plan
from notifier_svc.storage import NewDelivery, add_deliveries
from remit_events.envelope import Event
from remit_events.outbox import emit
from remit_events.schedule import Item
from remit_events.session import Session

# Customers are locked first and in id order, as everywhere events are emitted. The touches' ids come as an array too:
# by it they are found through their key, however many rows the planner expects of the JSON.
_MARK = text("""
WITH given AS MATERIALIZED (
    SELECT * FROM json_to_recordset(CAST(:deliveries AS json)) AS r (
        id uuid, touch_id uuid, status text, next_attempt_at timestamptz, provider text, digest text,
        error_class text, checked_at timestamptz)
), named AS MATERIALIZED (
    SELECT * FROM json_to_recordset(CAST(:touches AS json)) AS r (id uuid, unanswered bool, held_by text)
), mine AS MATERIALIZED (
    SELECT touch.id FROM touch JOIN customer ON customer.id = touch.customer_id
    WHERE touch.id = ANY(CAST(:touch_ids AS uuid[])) AND touch.claim = :token
    ORDER BY customer.id, touch.id FOR UPDATE OF customer, touch
), marked AS (
    UPDATE delivery SET status = given.status, next_attempt_at = given.next_attempt_at,
        provider = coalesce(given.provider, delivery.provider), digest = coalesce(given.digest, delivery.digest),
        error_class = given.error_class, error = NULL,
        checked_at = coalesce(given.checked_at, delivery.checked_at), updated_at = :now,
        attempts = delivery.attempts + CASE given.status WHEN 'sending' THEN 1 ELSE 0 END,
        worker = CASE given.status WHEN 'sending' THEN CAST(:worker AS bigint) ELSE delivery.worker END,
        sending_at = CASE given.status WHEN 'sending' THEN CAST(:now AS timestamptz) ELSE delivery.sending_at END
    FROM given JOIN mine ON mine.id = given.touch_id
    WHERE delivery.id = given.id AND delivery.status = 'pending'
), written AS (
    INSERT INTO content (touch_id, digest, language, subject, text, html, sms, letter, items, created_at)
    SELECT r.touch_id, r.digest, r.language, r.subject, r.text, r.html, r.sms, r.letter, r.items, :now
    FROM unnest(
        CAST(:said_ids AS uuid[]), CAST(:digests AS text[]), CAST(:languages AS text[]), CAST(:subjects AS text[]),
        CAST(:texts AS text[]), CAST(:htmls AS text[]), CAST(:shorts AS text[]), CAST(:letters AS bytea[]),
        CAST(:items AS jsonb[])
    ) AS r (touch_id, digest, language, subject, text, html, sms, letter, items)
    JOIN mine ON mine.id = r.touch_id
    ON CONFLICT DO NOTHING
)
UPDATE touch SET claim = NULL, held_by = named.held_by,
    attempts = CASE WHEN named.unanswered THEN touch.attempts + 1 ELSE 0 END,
    next_at = (
        SELECT min(coalesce(given.next_attempt_at, other.next_attempt_at))
        FROM delivery AS other LEFT JOIN given ON given.id = other.id
        WHERE other.touch_id = touch.id AND coalesce(given.status, other.status) = 'pending')
FROM mine JOIN named ON named.id = mine.id
WHERE touch.id = mine.id
RETURNING touch.id
""")


async def mark(session: Session, token: UUID, plans: Sequence[Plan], worker: int, now: datetime) -> list[Hand]:
    """Stores what was decided and tells it; gives the hands that are ours to send."""
    await _reroute(session, plans, now)
    ours = await _marked(session, token, plans, worker, now)
    hands = [hand for plan in ours for hand in plan.hands]
    await remember(session, hands, now)
    await emit(session, await _told(session, ours, now), now=now)
    return hands


async def mark_quietly(session: Session, token: UUID, plans: Sequence[Plan], worker: int, now: datetime) -> list[Hand]:
    """The same where all plans are quiet, in one statement that needs no transaction around it."""
    ours = await _marked(session, token, plans, worker, now)
    return [hand for plan in ours for hand in plan.hands]


async def _marked(session: Session, token: UUID, plans: Sequence[Plan], worker: int, now: datetime) -> list[Plan]:
    """Stores it; gives the plans whose claim is still ours."""
    values = {
        "deliveries": to_json([row for plan in plans for row in _delivery_rows(plan)]).decode(),
        "touches": to_json([_touch_row(plan) for plan in plans]).decode(),
        **_contents(plans),
        "touch_ids": [plan.claim.id for plan in plans],
        "token": token,
        "worker": worker,
        "now": now,
    }
    mine = set((await session.execute(_MARK, values)).scalars())
    return [plan for plan in plans if plan.claim.id in mine]


def _touch_row(plan: Plan) -> dict[str, Any]:
    return {"id": plan.claim.id, "unanswered": plan.unanswered, "held_by": plan.held_by}


def _delivery_rows(plan: Plan) -> list[dict[str, Any]]:
    def row(job: Job, status: str, **given: Any) -> dict[str, Any]:
        return {"id": job.id, "touch_id": plan.claim.id, "status": status, **given}

    if plan.cancelled:
        return [row(job, "cancelled", error_class=plan.cancelled) for job in plan.claim.jobs]
    rows = [
        row(
            hand.job,
            "sending",
            provider=hand.way.provider.name,
            digest=hand.rendered.digest,
            checked_at=hand.check.as_of,
        )
        for hand in plan.hands
    ]
    rows += [row(job, "pending", next_attempt_at=until) for job, until in plan.held]
    rows += [row(job, "failed", error_class=why) for job, why in plan.failed]
    return rows


def _contents(plans: Sequence[Plan]) -> dict[str, list[Any]]:
    """What is said, a column each, once per touch: all its channels say the same."""
    said = [(plan.claim.id, plan.hands[0].rendered, plan.verdict.kept) for plan in plans if plan.hands and plan.verdict]
    return {
        "said_ids": [touch for touch, _, _ in said],
        "digests": [rendered.digest for _, rendered, _ in said],
        "languages": [rendered.language for _, rendered, _ in said],
        "subjects": [rendered.subject for _, rendered, _ in said],
        "texts": [rendered.text for _, rendered, _ in said],
        "htmls": [rendered.html for _, rendered, _ in said],
        "shorts": [rendered.sms for _, rendered, _ in said],
        "letters": [rendered.letter for _, rendered, _ in said],
        "items": [to_json(items).decode() for _, _, items in said],
    }


async def _reroute(session: Session, plans: Sequence[Plan], now: datetime) -> None:
    """Letters in place of e-mails to who unsubscribed, and addresses that changed; they go with the next batch."""
    new = [
        (plan.claim, NewDelivery.to(address, plan.claim.id, plan.claim.seller, now))
        for plan in plans
        for address in plan.rerouted
    ]
    if new:
        await add_deliveries(session, [(claim.seller.id, claim.customer.id, one) for claim, one in new], now)


async def _told(session: Session, plans: Sequence[Plan], now: datetime) -> list[Event]:
    """What others must know of these decisions: cancelled touches, dropped items, channels that failed."""
    told: list[Event] = [cancelled for plan in plans if (cancelled := events.cancellation(plan))]
    failed = [(plan, job, why) for plan in plans for job, why in plan.failed]
    if failed:
        lost = await failed_touches(session, {plan.claim.id for plan, _, _ in failed}, now)
        told += [
            events.failed(events.Ref.of(plan.claim, job, _items(plan)), why, why, touch_failed=plan.claim.id in lost)
            for plan, job, why in failed
        ]
    return told


def _items(plan: Plan) -> tuple[Item, ...]:
    return plan.verdict.kept if plan.verdict else plan.claim.body.items
