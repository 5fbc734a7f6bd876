"""Reasons as plain sentences, for people who ask why a rung was not taken."""

from __future__ import annotations

from escalation_svc.evaluate import Reason

_SENTENCES = {
    "paid": "the invoice is paid",
    "void": "the invoice is void",
    "settled": "the invoice was written off",
    "no-ladder": "the customer is on no ladder that exists",
    "ladder-done": "every rung has been taken",
    "disputed": "the whole balance is disputed",
    "promise": "the customer promised to pay by {actual}",
    "held": "a hold is on: {actual}",
    "payment-in-flight": "a payment is on its way",
    "no-due-date": "the invoice has no due date",
    "approval-pending": "the rung waits for a person's approval",
    "rejected": "the rung was refused: {actual}; re-open the case (remit reopen) to have it asked for again",
    "demand-not-sent": "the formal demand was ordered but no delivery of it has gone out",
    "days-overdue": "{actual}, {needed} days overdue needed",
    "reminders": "{actual} sent after the due date, {needed} needed",
    "days-since-contact": "{actual} since the last message naming the invoice, {needed} needed",
    "days-since-demand": "{actual} since the formal demand was sent, {needed} needed",
    "one-rung-a-day": "a rung was taken today; the next may be taken tomorrow at the earliest",
    "minimum-balance": "{actual} minor units undisputed, {needed} needed",
    "other-rung": "the case's next rung is another by now: {actual}",
    "approvals-off": "this installation gives no approvals (APPROVE=never)",
}
_UNITS = {
    "days-overdue": "day overdue",
    "reminders": "reminder",
    "days-since-contact": "day",
    "days-since-demand": "day",
}


def sentence(reason: Reason) -> str:
    """One reason in words; ends by itself on `until`, where that is known."""
    text = _SENTENCES[reason.rule].format(actual=_counted(reason), needed=reason.needed)
    return f"{text} (until {reason.until.isoformat()})" if reason.until else text


def _counted(reason: Reason) -> str:
    """What there is, in its unit where the sentence leaves that open."""
    count, unit = reason.actual, _UNITS.get(reason.rule)
    if unit is None or not isinstance(count, int):
        return str(count)
    if reason.rule == "days-overdue" and count < 0:
        return f"due in {_some(-count, 'day')}"
    return _some(count, unit)


def _some(count: int, unit: str) -> str:
    noun, _, rest = unit.partition(" ")
    return f"{count} {noun if count == 1 else noun + 's'} {rest}".rstrip()
