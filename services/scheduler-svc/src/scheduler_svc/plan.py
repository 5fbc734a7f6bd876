"""When each step of an invoice falls due, and on which day it goes. Pure.

A step falls due on due date + offset, unshifted, when that is after the issue day. It goes on a day the window allows:
before or on the due date it moves to the previous one, after it to the next (domain-rules, Shift and Old debt).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
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


def old_debt(follow_up: FollowUp, policy: Policy) -> OldDebt | None:
    """None for an invoice that was not overdue when it arrived, or has no due date."""
    due = follow_up.invoice.due_date
    if due is None or due >= follow_up.entered_on:
        return None
    day = follow_up.reviewed_on or follow_up.entered_on
    age = (day - due).days
    overdue = [step for step in policy.steps if step.offset > 0]
    reached = [step for step in overdue if step.offset <= age] if policy.entry == "by-age" else []
    enters = reached[-1] if reached else next(iter(overdue), None)
    return OldDebt(
        entered_on=day,
        age=age,
        enters=enters,
        starts=max(day, due + timedelta(enters.offset)) if enters else day,
        keeps_distances=policy.entry == "first",
        under_review=waits_for_review(follow_up),
    )


def waits_for_review(follow_up: FollowUp) -> bool:
    """Old debt of more than 180 days that no person has let go yet."""
    due = follow_up.invoice.due_date
    if due is None or follow_up.reviewed_on:
        return False
    return (follow_up.entered_on - due).days > REVIEW_AFTER_DAYS


def plan(follow_up: FollowUp, policy: Policy, days: Days, *, whole: bool = False) -> Iterator[Planned]:
    """Every step that falls due, has no final outcome and is not in flight, in order of offset.

    While an old debt waits for review only the step it would enter with stands in the plan, unless `whole`.
    """
    invoice = follow_up.invoice
    if invoice.due_date is None:
        return
    entry = old_debt(follow_up, policy)
    for step in policy.steps:
        falls_on = invoice.due_date + timedelta(step.offset)
        progress = follow_up.progress.get(step.key)
        if falls_on <= invoice.issue_date or (progress and (progress.is_final or progress.in_flight)):
            continue
        planned = _planned(follow_up, step, falls_on, entry, days)
        if entry and entry.under_review and not whole and planned.skip is None and step is not entry.enters:
            continue
        yield planned


def _planned(follow_up: FollowUp, step: Step, falls_on: date, entry: OldDebt | None, days: Days) -> Planned:
    nominal = falls_on + timedelta(follow_up.shift_days)
    if entry is not None:
        if entry.enters is None or step.offset < entry.enters.offset:
            enters = entry.enters.key if entry.enters else None
            inputs = {"entered_on": entry.entered_on, "days_overdue": entry.age, "enters_with": enters}
            return _skipped(step, falls_on, falls_on, OLD_DEBT, inputs, days)
        if step is entry.enters or entry.keeps_distances:
            nominal = entry.starts + timedelta(step.offset - entry.enters.offset + follow_up.shift_days)
    day = days.previous_allowed(nominal) if step.offset <= 0 else days.next_allowed(nominal)
    inputs = {"due_date": follow_up.invoice.due_date, "offset": step.offset, "planned_on": day}
    if day != nominal:
        inputs |= {"shifted_from": nominal, "day_off": days.why_off(nominal), "holidays": days.source}
    skip, because = _skip(follow_up, step, day, old=entry is not None)
    if skip:
        return _skipped(step, falls_on, day, skip, inputs | because, days)
    return Planned(step, falls_on, nominal, day, days.opening(day), None, inputs)


def _skip(follow_up: FollowUp, step: Step, day: date, *, old: bool) -> tuple[str | None, dict[str, Any]]:
    """The rule by which a planned step will never go, with what it looked at."""
    invoice = follow_up.invoice
    if day <= invoice.issue_date:
        return BEFORE_ISSUE, {"issue_date": invoice.issue_date}
    if not old and day < follow_up.entered_on:
        return BEFORE_ENTRY, {"issue_date": invoice.issue_date, "entered_on": follow_up.entered_on}
    if follow_up.migrated_on and day < follow_up.migrated_on and step.key not in follow_up.progress:
        return BEFORE_ENTRY, {"policy_changed_on": follow_up.migrated_on}
    if step.offset < 0 and invoice.due_date and day >= invoice.due_date:
        return TOO_LATE, {"shifted_days": follow_up.shift_days}
    return None, {}


def _skipped(step: Step, falls_on: date, day: date, rule: str, inputs: Mapping[str, Any], days: Days) -> Planned:
    return Planned(step, falls_on, falls_on, day, days.opening(days.next_allowed(falls_on)), rule, inputs)
