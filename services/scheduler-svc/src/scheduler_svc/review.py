"""The one decision: everything due for one customer at one moment. Pure; ids are given by the caller.

The sweep stores what it returns, a preview assumes it was sent and goes on, the plan of one invoice is that preview.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from scheduler_svc.due import due_of, next_at
from scheduler_svc.fallback import retry
from scheduler_svc.ledger import Contact, FollowUp, Ledger, Progress
from scheduler_svc.messages import send, send_demand
from scheduler_svc.plan import plan
from scheduler_svc.work import Decision, NewId, Policies, Slot, Touch, Work


@dataclass(frozen=True, slots=True)
class Review:
    """What was decided, and the ledger after it: changed follow-ups, demands and contacts are new objects.

    `given_up` are failed touches that will not go again, `released` those of them that are no contact any more;
    `exhausted` are follow-ups whose last step just had its outcome. `next_at` is when to look again.
    """

    ledger: Ledger
    decisions: tuple[Decision, ...]
    touches: tuple[Touch, ...]
    given_up: tuple[UUID, ...]
    released: tuple[UUID, ...]
    exhausted: tuple[FollowUp, ...]
    next_at: datetime | None


def review(ledger: Ledger, policies: Policies, now: datetime, new_id: NewId) -> Review:
    """Decides for one customer. Looking again at the same moment decides nothing more."""
    work = Work(ledger, policies, now, new_id)
    for failed in ledger.failed:
        retry(work, failed)
    dues = [due for one in _ordered(work) if not one.closed and (due := due_of(work, one))]
    for demand in sorted(work.demands.values(), key=lambda d: work.follow_ups[d.invoice_id].invoice.number):
        progress = demand.progress
        waits = progress.not_before is not None and progress.not_before > now
        if not (progress.is_final or progress.in_flight or waits):
            send_demand(work, demand)
    send(work, dues)
    _look_ahead(work)
    return _result(ledger, work)


def assume_sent(result: Review) -> Ledger:
    """The ledger as it will be once every touch of the review has been sent."""
    work = Work(result.ledger, {}, datetime.min, UUID)  # noqa: DTZ901  # only to replace progress
    for touch in result.touches:
        for one in touch.items:
            work.put(Slot(one.invoice_id, one.step, touch.demand_id), Progress(outcome="sent"))
            for step in one.merged:
                work.put(Slot(one.invoice_id, step), Progress(outcome="merged"))
    follow_ups, demands = tuple(work.follow_ups.values()), tuple(work.demands.values())
    return replace(result.ledger, follow_ups=follow_ups, demands=demands)


def _ordered(work: Work) -> list[FollowUp]:
    return sorted(work.follow_ups.values(), key=lambda one: one.invoice.number)


def _look_ahead(work: Work) -> None:
    """Sets when each follow-up and demand is due next, and which follow-ups have come to their end."""
    for one in _ordered(work):
        when = next_at(work, one)
        ended = when is None and not one.exhausted and one.invoice.is_open and _ended(work, one)
        if when != one.next_at or ended:
            changed = work.change(one.id, next_at=when, exhausted=one.exhausted or ended)
            if ended:
                work.exhausted.append(changed)
    for demand in work.demands.values():
        progress = demand.progress
        when = None if progress.is_final else progress.not_before or progress.until
        if when is not None and when <= work.now:
            when = None
        if when != demand.next_at:
            work.demands[demand.id] = replace(demand, next_at=when)


def _ended(work: Work, one: FollowUp) -> bool:
    """No step is left, none in flight, and there were some: without a due date nothing ever begins."""
    if one.invoice.due_date is None or any(not p.is_final for p in one.progress.values()):
        return False
    return not plan(one, work.policy_of(one), work.days_of(one), whole=True)


def _result(before: Ledger, work: Work) -> Review:
    contacts: tuple[Contact, ...] = tuple(work.contacts)
    ledger = replace(
        before,
        follow_ups=tuple(work.follow_ups.values()),
        demands=tuple(work.demands.values()),
        failed=tuple(one for one in before.failed if _still_failed(work, one.id)),
        contacts=contacts,
    )
    times = [one.next_at for one in ledger.follow_ups] + [one.next_at for one in ledger.demands]
    return Review(
        ledger=ledger,
        decisions=tuple(work.decisions),
        touches=tuple(work.touches),
        given_up=tuple(work.given_up),
        released=tuple(work.released),
        exhausted=tuple(work.exhausted),
        next_at=min((when for when in times if when), default=None),
    )


def _still_failed(work: Work, touch_id: UUID) -> bool:
    return touch_id not in work.given_up and all(touch.id != touch_id for touch in work.touches)
