"""What became of hand-overs, into the database: state, events and reminders in one transaction per batch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import text

from notifier_svc import events
from notifier_svc.events import Ref
from notifier_svc.fallback import failed_touches
from notifier_svc.hours import local_day
from notifier_svc.planning import Hand
from notifier_svc.providers import Outcome, Result
from notifier_svc.suppressions import Closing, close_addresses
from remit_events.envelope import Event
from remit_events.outbox import emit
from remit_events.session import Session
from remit_events.state import Stage

FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(minutes=30)
_STATUS = {
    Result.SENT: "sent",
    Result.REFUSED: "failed",
    Result.RETRY: "pending",
    Result.UNKNOWN: "unknown",
    Result.WITHDRAWN: "pending",
}


@dataclass(frozen=True, slots=True)
class Done:
    """One hand-over that has ended, and when."""

    hand: Hand
    outcome: Outcome
    at: datetime


@dataclass(frozen=True, slots=True)
class Recorded:
    """`again`: how many are to be tried again at once; `next_due`: when the next touch of all falls due."""

    again: int
    next_due: datetime | None


# Only what is still this attempt's: who came later (a callback, a person) has had the last word. The ids
# come as an array too, for the same reason as in marking.
_RECORD = text("""
WITH given AS MATERIALIZED (
    SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS r (
        id uuid, attempts int, status text, provider_id text, error_class text, error text,
        next_attempt_at timestamptz, sent_at timestamptz, reminded uuid[], today date)
), locked AS MATERIALIZED (
    SELECT delivery.id FROM given JOIN delivery ON delivery.id = given.id
    JOIN customer ON customer.id = delivery.customer_id
    WHERE delivery.id = ANY(CAST(:ids AS uuid[]))
        AND delivery.status IN ('sending', 'unknown') AND delivery.attempts = given.attempts
    ORDER BY customer.id, delivery.id FOR UPDATE OF customer, delivery
), done AS (
    UPDATE delivery SET status = given.status, provider_id = coalesce(given.provider_id, delivery.provider_id),
        error_class = given.error_class, error = given.error, next_attempt_at = given.next_attempt_at,
        sent_at = given.sent_at, updated_at = :now
    FROM given JOIN locked ON locked.id = given.id WHERE delivery.id = given.id
    RETURNING delivery.id, delivery.touch_id, delivery.status, delivery.next_attempt_at, given.reminded, given.today
), reminders AS (
    INSERT INTO reminder (invoice_id, touch_id, sent_on)
    SELECT DISTINCT invoice_id, touch_id, today FROM done, unnest(reminded) AS invoice_id WHERE status = 'sent'
    ON CONFLICT DO NOTHING
), touched AS (
    UPDATE touch SET next_at = least(touch.next_at, of_touch.next_at),
        sent_at = coalesce(touch.sent_at, CASE WHEN of_touch.sent THEN CAST(:now AS timestamptz) END)
    FROM (SELECT touch_id, bool_or(status = 'sent') AS sent,
                 min(next_attempt_at) FILTER (WHERE status = 'pending') AS next_at
          FROM done GROUP BY touch_id) AS of_touch
    WHERE touch.id = of_touch.touch_id
)
SELECT array(SELECT id FROM done) AS ids, (SELECT min(next_at) FROM touch WHERE next_at IS NOT NULL) AS due
""")


async def record(session: Session, done: Sequence[Done], now: datetime) -> Recorded:
    """Stores results and tells them."""
    rows = [_row(one) for one in done]
    values = {"rows": to_json(rows).decode(), "ids": [row["id"] for row in rows], "now": now}
    found = (await session.execute(_RECORD, values)).one()
    stored = set(found.ids)
    told = [one for one in done if one.hand.job.id in stored]
    closing = [closing for one in told if (closing := _closing(one))]
    closed = await close_addresses(session, closing, now) if closing else []
    refused = {one.hand.claim.id for one in told if one.outcome.result is Result.REFUSED}
    lost = await failed_touches(session, refused, now) if refused else set()
    await emit(session, [*_events(told, lost), *closed], now=now)
    retries = [row["next_attempt_at"] for row in rows if row["next_attempt_at"]]
    retries += [now for one in told if one.hand.claim.stage is Stage.INVOICE and one.hand.claim.id in refused - lost]
    # The statement saw the touches as they were before it put these retries there.
    return Recorded(
        sum(at <= now for at in retries), min([*retries, *([found.due] if found.due else [])], default=None)
    )


def _row(one: Done) -> dict[str, Any]:
    hand, outcome = one.hand, one.outcome
    return {
        "id": hand.job.id,
        "attempts": hand.job.attempts + 1,
        "status": _STATUS[outcome.result],
        "provider_id": outcome.provider_id or None,
        "error_class": outcome.reason_class or None,
        "error": outcome.reason or None,
        "next_attempt_at": _next_attempt(one),
        "sent_at": one.at if outcome.result is Result.SENT else None,
        "reminded": reminded(hand, today := local_day(hand.claim.customer, one.at)),
        "today": today,
    }


def _next_attempt(one: Done) -> datetime | None:
    """Doubling from half a minute to half an hour; never past the end of the touch, where it is given up."""
    if one.outcome.result is Result.WITHDRAWN:
        return one.at
    if one.outcome.result is not Result.RETRY:
        return None
    if one.outcome.retry_after is not None:
        pause = timedelta(seconds=one.outcome.retry_after)
    else:
        pause = min(FIRST_RETRY * 2.0 ** min(one.hand.job.attempts, 12), LONGEST_RETRY)
    ready_at = one.hand.way.provider.breaker.ready_at()
    return min(max(one.at + pause, ready_at or one.at), max(one.hand.claim.valid_until, one.at))


def reminded(hand: Hand, today: date) -> list[UUID]:
    """The invoices this message reminds of after their due date; a demand is no reminder."""
    if not hand.claim.is_follow_up or hand.claim.stage is Stage.DEMAND:
        return []
    kept = (item.invoice for item in hand.verdict.kept)
    return [invoice.id for invoice in kept if invoice.due_date and invoice.due_date < today]


def _events(told: Sequence[Done], lost: Collection[UUID]) -> list[Event]:
    return [event for one in told if (event := _event(one, one.hand.claim.id in lost))]


def _event(one: Done, touch_failed: bool) -> Event | None:
    hand, outcome = one.hand, one.outcome
    ref = Ref.of(hand.claim, hand.job, hand.verdict.kept)
    if outcome.result is Result.SENT:
        return events.sent(hand, one.at, outcome.provider_id)
    if outcome.result is Result.REFUSED:
        return events.failed(ref, outcome.reason_class, outcome.reason, touch_failed=touch_failed)
    if outcome.result is Result.UNKNOWN:
        return events.unknown(ref, outcome.reason)
    return None


def _closing(one: Done) -> Closing | None:
    """The address a refusal closes; not when the message went to a test address in its place."""
    reason = one.outcome.closes
    if reason is None or one.hand.way.redirected:
        return None
    claim, job = one.hand.claim, one.hand.job
    return Closing(claim.seller.id, claim.customer.id, job.channel, job.recipient_sha256, "full", reason)
