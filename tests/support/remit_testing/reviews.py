"""One review of the scheduler's pure core, and time running over it, in a line."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import uuid4

from remit_testing.scheduling import Debt, Played, make_debtor, make_policy, play, ref, utc
from scheduler_svc.ledger import Contact, FollowUp, Ledger, Progress
from scheduler_svc.policy import Policy
from scheduler_svc.review import Review, review

BUSINESS = make_policy()
FAR = utc("2027-01-01 00:00")


def look(
    now: str, *follow_ups: FollowUp, policy: Policy = BUSINESS, contacts: tuple[Contact, ...] = (),
    automation_on: bool = True, **customer: Any,
) -> Review:  # fmt: skip
    ledger = Ledger(make_debtor(**customer), automation_on, follow_ups, contacts=contacts)
    return review(ledger, {ref(policy): policy}, utc(now), uuid4)


def rules(result: Review) -> list[tuple[str, str, str]]:
    return [(one.step, one.outcome, one.rule) for one in result.decisions]


def debt(number: str, issue: str, due: str, paid: str | None = None, **given: Any) -> Debt:
    return Debt(
        number,
        date.fromisoformat(issue),
        date.fromisoformat(due),
        date.fromisoformat(paid) if paid else None,
        **given,
    )


def played(*debts: Debt, policy: Policy = BUSINESS, until: datetime = FAR, **given: Any) -> Played:
    return play(make_debtor(), debts, policy, until=until, **given)


def only(follow_up: FollowUp, *steps: str) -> FollowUp:
    """The follow-up with every step but these already sent."""
    done = {one.key: Progress(outcome="sent") for one in BUSINESS.steps if one.key not in steps}
    return follow_up._replace(progress=done)


def again(result: Review, now: datetime | None, policy: Policy = BUSINESS) -> Review:
    """The next look at what a review left."""
    assert now is not None
    return review(result.ledger, {ref(policy): policy}, now, uuid4)
