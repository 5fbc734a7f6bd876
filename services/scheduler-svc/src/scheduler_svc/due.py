"""What of one invoice is due now: its steps against the plan, closing, old debt, catch-up and promises. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from scheduler_svc.days import Days
from scheduler_svc.gate import Ruling, Standing, about_invoice
from scheduler_svc.ledger import NOTHING_OWED, FollowUp, Progress
from scheduler_svc.plan import TOO_LATE, Planned, Schedule, is_untouched, old_debt, plan, schedule_of
from scheduler_svc.policy import Policy, Step
from scheduler_svc.work import Slot, Work

BY_THE_CLOCK = frozenset({"outside-window", "minimum-gap", "contact-cap"})
_NOT_LOOKED_AT = Progress()


@dataclass(frozen=True, slots=True)
class Due:
    """An invoice whose rules let it go now: `lead` is the step it would go with, `steps` all that are due.

    `takes` are the steps that end as merged when it goes; `harder`: a broken promise put the lead one step on;
    `shifts_from` is the day of a catch-up by `shift`.
    """

    follow_up: FollowUp
    policy: Policy
    steps: tuple[Planned, ...]
    lead: Step
    takes: tuple[str, ...]
    harder: bool = False
    shifts_from: date | None = None

    @property
    def shift_days(self) -> int:
        """What a catch-up by `shift` adds to what is left once the lead goes: by how much that is late."""
        days = (one.nominal for one in self.steps if one.step == self.lead)
        nominal = next(days, None) if self.shifts_from else None
        return max((self.shifts_from - nominal).days, 0) if self.shifts_from and nominal else 0

    @property
    def hardness(self) -> tuple[int, date, str]:
        """Sorts the hardest first: greatest offset, oldest due date, invoice number."""
        invoice = self.follow_up.invoice
        return (-self.lead.offset, invoice.due_date or date.max, invoice.number)


def due_of(work: Work, follow_up: FollowUp) -> Due | None:
    """Writes down what will not go or not yet; gives what may go now as far as the invoice is concerned."""
    if not follow_up.invoice.is_open:
        _close(work, follow_up)
        return None
    if follow_up.invoice.due_date is None:
        _without_due_date(work, follow_up)
        return None
    now, policy, days = work.now, work.policy_of(follow_up), work.days_of(follow_up)
    steps = [one for one in _come(follow_up, policy, days, now) if _may_try(follow_up, one, now)]
    if follow_up.progress:
        _drop_removed_steps(work, follow_up, policy)
    if not steps:
        return None
    ruling = about_invoice(standing(work, follow_up))
    if ruling and ruling.outcome == "suppressed":
        suppress(work, follow_up, steps, ruling)
        return None
    steps = [one for one in steps if not _skip(work, follow_up, one)]
    if ruling:
        defer(work, follow_up, steps, ruling)
        return None
    return _catch_up(work, follow_up, policy, steps)


def standing(work: Work, follow_up: FollowUp, *, demand: bool = False) -> Standing:
    entry = None if demand else old_debt(follow_up, work.policy_of(follow_up))
    days = work.days_of(follow_up)
    return Standing(
        follow_up=follow_up,
        customer_hold=work.debtor.hold,
        automation_on=work.automation_on,
        replied_at=work.replied_at,
        under_review=entry is not None and entry.under_review,
        demand=demand,
        today=work.today(follow_up),
        days=days,
    )


def suppress(work: Work, follow_up: FollowUp, steps: Sequence[Planned], ruling: Ruling) -> None:
    for one in steps:
        slot, inputs = Slot(follow_up.id, one.step.key), {**one.inputs, **ruling.inputs}
        work.finish(slot, "suppressed", ruling.rule, inputs, reopens=ruling.rule in NOTHING_OWED)


def defer(work: Work, follow_up: FollowUp, steps: Sequence[Planned], ruling: Ruling) -> None:
    for one in steps:
        slot = Slot(follow_up.id, one.step.key)
        work.defer(slot, replace(ruling, inputs={"planned_on": one.day, **ruling.inputs}))


def next_at(work: Work, follow_up: FollowUp) -> datetime | None:
    """When the clock alone makes something of this invoice due next."""
    waiting = [p.until for p in follow_up.progress.values() if p.in_flight and p.until]
    due = follow_up.invoice.due_date
    if not follow_up.invoice.is_open or due is None:
        return min(waiting, default=None)
    policy, days = work.policy_of(follow_up), work.days_of(follow_up)
    schedule = schedule_of(follow_up, policy, days)
    if schedule and is_untouched(follow_up, schedule):
        return _ahead(schedule, due, days, work.now).next_at
    for one in plan(follow_up, policy, days):
        waiting += _waits_until(one, follow_up.progress.get(one.step.key, _NOT_LOOKED_AT), due, days, work.now)
    return min(waiting, default=None)


def _waits_until(one: Planned, progress: Progress, due: date, days: Days, now: datetime) -> Iterator[datetime]:
    """When the clock alone may make something of a step that is left."""
    if progress.not_before and progress.not_before > now:
        yield progress.not_before
    elif one.at > now:
        yield one.at
    else:
        if progress.until:
            yield progress.until
        if one.step.offset < 0:  # from then on it is too late
            yield days.opening(days.next_allowed(due))


class _Ahead(NamedTuple):
    """Of a schedule at a moment: the steps whose day has come, and when to look again at one nothing came of yet."""

    come: tuple[Planned, ...]
    next_at: datetime | None


@lru_cache(maxsize=4096)
def _ahead(schedule: Schedule, due: date, days: Days, now: datetime) -> _Ahead:
    """Invoices that share a schedule share this: of a sweep's customers most have others' dates."""
    waiting = [until for one in schedule.steps for until in _waits_until(one, _NOT_LOOKED_AT, due, days, now)]
    return _Ahead(tuple(one for one in schedule.steps if one.at <= now), min(waiting, default=None))


def _come(follow_up: FollowUp, policy: Policy, days: Days, now: datetime) -> Sequence[Planned]:
    """The steps of its plan whose day has come."""
    schedule, due = schedule_of(follow_up, policy, days), follow_up.invoice.due_date
    if schedule and due and is_untouched(follow_up, schedule):
        return _ahead(schedule, due, days, now).come
    return [one for one in plan(follow_up, policy, days) if one.at <= now]


def first_look(follow_up: FollowUp, policy: Policy, days: Days, now: datetime) -> datetime:
    """When a new follow-up is to be looked at first: at once when something is due, has ended or must be said."""
    if not follow_up.invoice.is_open or follow_up.invoice.due_date is None:
        return now
    # Nothing has moved a step of it yet: they come in order of time.
    steps = plan(follow_up, policy, days)
    first = steps[0].at if steps else now
    return max(first, now)


def _may_try(follow_up: FollowUp, one: Planned, now: datetime) -> bool:
    progress = follow_up.progress.get(one.step.key)
    return progress is None or progress.not_before is None or progress.not_before <= now


def _close(work: Work, follow_up: FollowUp) -> None:
    """Nothing is owed any more: steps that fell due before that day and had no outcome get theirs."""
    days, policy = work.days_of(follow_up), work.policy_of(follow_up)
    closed_on = follow_up.closed_on or work.today(follow_up)
    ruling = about_invoice(standing(work, follow_up._replace(closed_on=closed_on)))
    assert ruling is not None  # noqa: S101  # an invoice that is not open is paid or void
    for one in plan(follow_up, policy, days, whole=True):
        progress = follow_up.progress.get(one.step.key)
        if one.falls_on >= closed_on and progress is None:
            continue
        if follow_up.disputed_before:
            work.finish(Slot(follow_up.id, one.step.key), "suppressed", "disputed", one.inputs, reopens=True)
        elif one.skip:
            work.finish(Slot(follow_up.id, one.step.key), "skipped", one.skip, one.inputs)
        else:
            suppress(work, follow_up, [one], ruling)
    _drop_removed_steps(work, follow_up, policy)
    in_flight = any(p.in_flight for p in work.follow_ups[follow_up.id].progress.values())
    work.change(follow_up.id, closed=not in_flight, closed_on=closed_on)


def _without_due_date(work: Work, follow_up: FollowUp) -> None:
    for step in work.policy_of(follow_up).steps:
        work.finish(Slot(follow_up.id, step.key), "skipped", "no-due-date", {"due_date": None})


def _drop_removed_steps(work: Work, follow_up: FollowUp, policy: Policy) -> None:
    """Steps that were waiting when the follow-up moved to a policy without them."""
    keys = {step.key for step in policy.steps}
    for key, progress in follow_up.progress.items():
        if key not in keys and not progress.is_final and not progress.in_flight:
            inputs = {"policy_changed_on": follow_up.migrated_on}
            work.finish(Slot(follow_up.id, key), "skipped", "before-entry", inputs)


def _skip(work: Work, follow_up: FollowUp, one: Planned) -> bool:
    """Whether the step will never go, by plan or because its due date has come."""
    due = follow_up.invoice.due_date
    today = work.today(follow_up)
    if one.skip:
        work.finish(Slot(follow_up.id, one.step.key), "skipped", one.skip, one.inputs)
    elif one.step.offset < 0 and due and today >= due:
        progress = follow_up.progress.get(one.step.key)
        inputs = {**one.inputs, "waited_for": progress.rule if progress else None}
        work.finish(Slot(follow_up.id, one.step.key), "skipped", TOO_LATE, inputs)
    else:
        return False
    return True


def _catch_up(work: Work, follow_up: FollowUp, policy: Policy, steps: list[Planned]) -> Due | None:
    """What goes of all that is due, by the policy's catch-up rule."""
    today = work.today(follow_up)
    missed = [one for one in steps if _expected_on(work, follow_up, one) < today]
    if policy.catch_up == "skip":
        for one in missed:
            work.finish(Slot(follow_up.id, one.step.key), "skipped", "catch-up", {**one.inputs, "missed_until": today})
        steps = [one for one in steps if one not in missed]
    if not steps:
        return None
    shifts = policy.catch_up == "shift" and missed
    return _harder(led(follow_up, policy, steps, today if shifts else None), today)


def led(follow_up: FollowUp, policy: Policy, steps: Sequence[Planned], shifts_from: date | None) -> Due:
    """Of what is due the hardest goes and takes the others along; by `shift` the first goes, and the others later."""
    lead, taken = (steps[0], []) if shifts_from else (steps[-1], steps[:-1])
    return Due(follow_up, policy, tuple(steps), lead.step, _keys(taken), shifts_from=shifts_from)


def _expected_on(work: Work, follow_up: FollowUp, one: Planned) -> date:
    """The day the step should have gone: a step that gap, cap or window put off is not late before that."""
    progress = follow_up.progress.get(one.step.key)
    if progress and progress.rule in BY_THE_CLOCK and progress.until:
        return work.days_of(follow_up).local_date(progress.until)
    return one.day


def _harder(due: Due, today: date) -> Due:
    """After a broken promise an overdue invoice goes on one step harder, where there is one."""
    follow_up = due.follow_up
    invoice = follow_up.invoice
    if invoice.promises_broken <= follow_up.harder_used or invoice.due_date is None or today <= invoice.due_date:
        return due
    for step in due.policy.steps:
        progress = follow_up.progress.get(step.key)
        free = progress is None or not (progress.is_final or progress.in_flight)
        falls_due = invoice.due_date + timedelta(step.offset) > invoice.issue_date
        if step.offset > due.lead.offset and free and falls_due:
            easier = [one for one in due.steps if one.step.offset < step.offset]
            return replace(due, lead=step, takes=_keys(easier), harder=True)
    return due


def _keys(steps: Sequence[Planned]) -> tuple[str, ...]:
    return tuple(one.step.key for one in steps)
