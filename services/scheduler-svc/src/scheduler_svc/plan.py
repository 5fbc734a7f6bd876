"""When each step of an invoice falls due, and on which day it goes. Pure.

A step falls due on due date + offset, unshifted, when that is after the issue day. It goes on a day the window allows:
before or on the due date it moves to the previous one, after it to the next (domain-rules, Shift and Old debt).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from scheduler_svc.days import Days
from scheduler_svc.ledger import FollowUp
from scheduler_svc.policy import Policy, Step

REVIEW_AFTER_DAYS = 180

BEFORE_ISSUE = "before-issue"
BEFORE_ENTRY = "before-entry"
OLD_DEBT = "old-debt"
TOO_LATE = "too-late"


class Planned(NamedTuple):
    """One step: `falls_on` is due date + offset, `nominal` that after old debt and catch-up moved it.

    `day` is the allowed day it goes on, `at` the window's opening then. With `skip` set it will not go, by that
    rule, which is written down from `at` on.
    """

    step: Step
    falls_on: date
    nominal: date
    day: date
    at: datetime
    skip: str | None
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OldDebt:
    """How an invoice that was overdue when it arrived enters: on `starts`, with the step `enters` (None: none left).

    `keeps_distances`: later steps follow at their distances from that day instead of on their own days.
    """

    entered_on: date
    age: int
    enters: Step | None
    starts: date
    keeps_distances: bool
    under_review: bool


class Schedule:
    """Every step of a policy that falls due by some dates, in order of offset, whatever became of it."""

    __slots__ = ("entry", "steps")

    def __init__(self, steps: tuple[Planned, ...], entry: OldDebt | None) -> None:
        self.steps = steps
        self.entry = entry


class Dates(NamedTuple):
    """What of a follow-up its plan hangs on."""

    issue: date
    due: date
    entered_on: date
    reviewed_on: date | None
    shift_days: int


def old_debt(follow_up: FollowUp, policy: Policy) -> OldDebt | None:
    """None for an invoice that was not overdue when it arrived, or has no due date."""
    dates = _dates(follow_up)
    return _old_debt(dates, policy) if dates else None


def _dates(follow_up: FollowUp) -> Dates | None:
    invoice = follow_up.invoice
    due = invoice.due_date
    if due is None:
        return None
    return Dates(invoice.issue_date, due, follow_up.entered_on, follow_up.reviewed_on, follow_up.shift_days)


def _old_debt(dates: Dates, policy: Policy) -> OldDebt | None:
    if dates.due >= dates.entered_on:
        return None
    day = dates.reviewed_on or dates.entered_on
    age = (day - dates.due).days
    overdue = [step for step in policy.steps if step.offset > 0]
    reached = [step for step in overdue if step.offset <= age] if policy.entry == "by-age" else []
    enters = reached[-1] if reached else next(iter(overdue), None)
    return OldDebt(
        entered_on=day,
        age=age,
        enters=enters,
        starts=max(day, dates.due + timedelta(enters.offset)) if enters else day,
        keeps_distances=policy.entry == "first",
        under_review=_under_review(dates),
    )


def waits_for_review(follow_up: FollowUp) -> bool:
    """Old debt of more than 180 days that no person has let go yet."""
    dates = _dates(follow_up)
    return dates is not None and _under_review(dates)


def _under_review(dates: Dates) -> bool:
    return dates.reviewed_on is None and (dates.entered_on - dates.due).days > REVIEW_AFTER_DAYS


def plan(follow_up: FollowUp, policy: Policy, days: Days, *, whole: bool = False) -> Sequence[Planned]:
    """Every step that falls due, has no final outcome and is not in flight, in order of offset.

    While an old debt waits for review only the step it would enter with stands in the plan, unless `whole`.
    """
    schedule = schedule_of(follow_up, policy, days)
    if schedule is None:
        return ()
    if is_untouched(follow_up, schedule):
        return schedule.steps
    return tuple(_left(follow_up, schedule, days, whole=whole))


def schedule_of(follow_up: FollowUp, policy: Policy, days: Days) -> Schedule | None:
    """The one object that all invoices with these dates share; None without a due date."""
    dates = _dates(follow_up)
    return _schedule(policy, days, dates) if dates else None


def is_untouched(follow_up: FollowUp, schedule: Schedule) -> bool:
    """Whether its plan is the schedule as it stands, as that of most: nothing has come of a step yet."""
    reviewed = schedule.entry is None or not schedule.entry.under_review
    return not follow_up.progress and follow_up.migrated_on is None and reviewed


def _left(follow_up: FollowUp, schedule: Schedule, days: Days, *, whole: bool) -> Iterator[Planned]:
    entry, migrated_on = schedule.entry, follow_up.migrated_on
    for scheduled in schedule.steps:
        progress = follow_up.progress.get(scheduled.step.key)
        if progress and (progress.is_final or progress.in_flight):
            continue
        waits = entry and entry.under_review and not whole and scheduled.step != entry.enters
        one = scheduled if progress else _after_migration(scheduled, migrated_on, days)
        if one.skip or not waits:
            yield one


@lru_cache(maxsize=4096)
def _schedule(policy: Policy, days: Days, dates: Dates) -> Schedule:
    entry = _old_debt(dates, policy)
    falling = ((step, dates.due + timedelta(step.offset)) for step in policy.steps)
    return Schedule(tuple(_planned(dates, step, on, entry, days) for step, on in falling if on > dates.issue), entry)


def _after_migration(one: Planned, migrated_on: date | None, days: Days) -> Planned:
    """What lay before the day its follow-up moved to this policy is passed over."""
    if migrated_on is None or one.day >= migrated_on or one.skip not in (None, TOO_LATE):
        return one
    return _skipped(
        one.step, one.falls_on, one.day, BEFORE_ENTRY, {**one.inputs, "policy_changed_on": migrated_on}, days
    )


def _planned(dates: Dates, step: Step, falls_on: date, entry: OldDebt | None, days: Days) -> Planned:
    nominal = falls_on + timedelta(dates.shift_days)
    if entry is not None:
        if entry.enters is None or step.offset < entry.enters.offset:
            enters = entry.enters.key if entry.enters else None
            inputs = {"entered_on": entry.entered_on, "days_overdue": entry.age, "enters_with": enters}
            return _skipped(step, falls_on, falls_on, OLD_DEBT, inputs, days)
        if step is entry.enters or entry.keeps_distances:
            nominal = entry.starts + timedelta(step.offset - entry.enters.offset + dates.shift_days)
    day = days.previous_allowed(nominal) if step.offset <= 0 else days.next_allowed(nominal)
    inputs = {"due_date": dates.due, "offset": step.offset, "planned_on": day}
    if day != nominal:
        inputs |= {"shifted_from": nominal, "day_off": days.why_off(nominal), "holidays": days.source}
    skip, because = _skip(dates, step, day, old=entry is not None)
    if skip:
        return _skipped(step, falls_on, day, skip, inputs | because, days)
    return Planned(step, falls_on, nominal, day, days.opening(day), None, inputs)


def _skip(dates: Dates, step: Step, day: date, *, old: bool) -> tuple[str | None, dict[str, Any]]:
    """The rule by which a planned step will never go, with what it looked at."""
    if day <= dates.issue:
        return BEFORE_ISSUE, {"issue_date": dates.issue}
    if not old and day < dates.entered_on:
        return BEFORE_ENTRY, {"issue_date": dates.issue, "entered_on": dates.entered_on}
    if step.offset < 0 and day >= dates.due:
        return TOO_LATE, {"shifted_days": dates.shift_days}
    return None, {}


def _skipped(step: Step, falls_on: date, day: date, rule: str, inputs: Mapping[str, Any], days: Days) -> Planned:
    return Planned(step, falls_on, falls_on, day, days.opening(days.next_allowed(falls_on)), rule, inputs)
