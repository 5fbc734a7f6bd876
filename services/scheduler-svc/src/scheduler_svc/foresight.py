"""What one invoice has behind and before it, step by step: progress, and the preview where there is none. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from scheduler_svc.ledger import FollowUp, Ledger, Progress
from scheduler_svc.policy import Step
from scheduler_svc.preview import foresee
from scheduler_svc.work import Policies

State = Literal["sent", "merged", "suppressed", "skipped", "in-flight", "waiting", "planned", "never"]


@dataclass(frozen=True, slots=True)
class Outlook:
    """One step: `at` is when it goes, or ends, as `foreseen`; of what has happened already the log tells."""

    step: Step
    falls_on: date | None
    state: State
    rule: str | None = None
    at: datetime | None = None
    until: datetime | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    foreseen: bool = False


@dataclass(frozen=True, slots=True)
class _Ahead:
    state: State
    at: datetime | None
    rule: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)


def outlook(ledger: Ledger, invoice_id: UUID, policies: Policies, now: datetime, until: datetime) -> list[Outlook]:
    """Every step of the invoice's policy, in order."""
    one = next(follow_up for follow_up in ledger.follow_ups if follow_up.id == invoice_id)
    coming = _foreseen(ledger, invoice_id, policies, now, until)
    return [_of_step(one, step, coming.get(step.key)) for step in policies[one.policy].steps]


def _of_step(one: FollowUp, step: Step, ahead: _Ahead | None) -> Outlook:
    due = one.invoice.due_date
    falls_on = due + timedelta(step.offset) if due else None
    progress = one.progress.get(step.key, Progress())
    found = Outlook(step, falls_on, "planned", progress.rule, until=progress.until)
    if progress.outcome is not None:
        return replace(found, state=progress.outcome)
    if progress.in_flight:
        return replace(found, state="in-flight")
    if progress.rule:
        return replace(found, state="waiting", at=ahead.at if ahead else None)
    if ahead:
        return replace(found, state=ahead.state, at=ahead.at, rule=ahead.rule, inputs=ahead.inputs, foreseen=True)
    comes = one.invoice.is_open and falls_on is not None and falls_on > one.invoice.issue_date
    return found if comes else replace(found, state="never")


def _foreseen(
    ledger: Ledger, invoice_id: UUID, policies: Policies, now: datetime, until: datetime
) -> dict[str, _Ahead]:
    """The first final thing that happens to each step of the invoice, or what keeps it waiting to the end."""
    found: dict[str, _Ahead] = {}
    waiting: dict[str, _Ahead] = {}
    for look in foresee(ledger, policies, now, until):
        for decision in look.review.decisions:
            if decision.invoice.id != invoice_id or decision.demand_id is not None:
                continue
            if decision.outcome == "deferred":
                waiting[decision.step] = _Ahead("waiting", None, decision.rule, decision.inputs)
            else:
                ends = _Ahead(decision.outcome, look.at, decision.rule, decision.inputs)
                found.setdefault(decision.step, ends)
        for touch in look.review.touches:
            for item in touch.items if touch.demand_id is None else ():
                if item.invoice_id == invoice_id:
                    found.setdefault(item.step, _Ahead("planned", look.at))
                    for step in item.merged:
                        inputs = {"harder_step": item.step}
                        found.setdefault(step, _Ahead("merged", look.at, "harder-step", inputs))
    return waiting | found
