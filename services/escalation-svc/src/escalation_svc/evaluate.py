"""Which rung of the ladder a case may take today, or why not. Pure: facts in, verdict out.

Source of the rules: "Escalation ladders" of the domain rules and ADR 0003.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal
from uuid import UUID

from escalation_svc.ladder import Ladder, Rung
from remit_events.state import Hold, InvoiceState, Profile, Stage

ContactStatus = Literal["planned", "sent", "unknown", "failed", "cancelled"]
CaseStatus = Literal["open", "frozen", "closed"]
Outcome = Literal["paid", "settled", "void"]

REMINDER_STAGES = frozenset({Stage.UPCOMING, Stage.DUE, Stage.OVERDUE})
# A message that may have arrived counts as a contact (the debtor is left in peace) but never as a reminder.
MAYBE_ARRIVED = frozenset({"planned", "sent", "unknown"})


@dataclass(frozen=True, slots=True)
class Contact:
    """One delivery, planned or made, of one touch that named the invoice; `on` is the customer's local date."""

    touch_id: UUID
    on: date
    stage: Stage
    status: ContactStatus


@dataclass(frozen=True, slots=True)
class Taken:
    """A rung that was triggered, on a local date."""

    key: str
    on: date


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What is known of one invoice's case; `pending` waits for an approval, `rejected` were refused one (rung keys,
    with the reason given)."""

    invoice: InvoiceState
    profile: Profile
    customer_hold: Hold | None = None
    contacts: tuple[Contact, ...] = ()
    taken: tuple[Taken, ...] = ()
    pending: str | None = None
    rejected: Mapping[str, str] = field(default_factory=dict)

    def reminders(self) -> int:
        """Distinct touches sent after the due date with a delivery sent and not failed; channels count once."""
        due = self.invoice.due_date
        if due is None:
            return 0
        counted = (c for c in self.contacts if c.stage in REMINDER_STAGES and c.status == "sent" and c.on > due)
        return len({c.touch_id for c in counted})

    def last_contact(self) -> date | None:
        """The last local date a message naming this invoice left, may have left, or is about to."""
        return max((c.on for c in self.contacts if c.status in MAYBE_ARRIVED), default=None)

    def demand_sent(self) -> date | None:
        """The local date the formal demand first went out on a channel that did not fail."""
        return min((c.on for c in self.contacts if c.stage is Stage.DEMAND and c.status == "sent"), default=None)

    def days_overdue(self, today: date) -> int | None:
        return (today - self.invoice.due_date).days if self.invoice.due_date else None


@dataclass(frozen=True, slots=True)
class Reason:
    """A rule that stands in the way: what it needs and what there is. `until`: the day it ends by itself."""

    rule: str
    needed: str | int | None = None
    actual: str | int | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`rung` is the next one; it may be taken when `reasons` is empty.

    `not_before` is the first local date on which the conditions could hold if nothing but time passes; None when
    only an event can change the answer.
    """

    status: CaseStatus
    rung: Rung | None
    reasons: tuple[Reason, ...]
    not_before: date | None
    days_overdue: int | None
    reminders: int

    @property
    def may_take(self) -> bool:
        return self.rung is not None and not self.reasons


def outcome(invoice: InvoiceState) -> Outcome | None:
    """How a case ends by its invoice's state; None while money is owed."""
    if invoice.is_open:
        return None
    match invoice.status:
        case "void":
            return "void"
        case "written_off":
            return "settled"
        case _:
            return "paid"


def evaluate(facts: CaseFacts, ladder: Ladder | None, today: date) -> Verdict:
    """The next rung of a case and what stands in its way on a local date."""
    overdue, reminders = facts.days_overdue(today), facts.reminders()
    ended = outcome(facts.invoice)
    if ended:
        return Verdict("closed", None, (Reason(ended),), None, overdue, reminders)
    frozen = tuple(_frozen(facts, today))
    status: CaseStatus = "frozen" if frozen else "open"
    if ladder is None:
        return Verdict(status, None, (Reason("no-ladder"),), None, overdue, reminders)
    rung, blocked = _next_rung(facts, ladder)
    reasons = (*frozen, *blocked)
    if rung and not blocked:
        reasons += tuple(_unmet(rung, facts, today))
    return Verdict(status, rung, reasons, _not_before(reasons, today), overdue, reminders)


def _frozen(facts: CaseFacts, today: date) -> Iterator[Reason]:
    """What freezes a case; thawed, it goes on where it was."""
    invoice = facts.invoice
    if invoice.fully_disputed:
        yield Reason("disputed", actual=invoice.disputed_minor)
    if invoice.promise:
        yield Reason("promise", actual=invoice.promise.on.isoformat())
    for hold in (facts.customer_hold, invoice.hold):
        if hold and (hold.until is None or today <= hold.until):
            yield Reason("held", actual=hold.reason, until=hold.until and hold.until + timedelta(days=1))
    if invoice.payment_in_flight:
        yield Reason("payment-in-flight")


def _next_rung(facts: CaseFacts, ladder: Ladder) -> tuple[Rung | None, tuple[Reason, ...]]:
    """The first rung that has not happened, and what keeps anyone from even looking at its conditions."""
    taken = {t.key for t in facts.taken}
    for rung in ladder.rungs:
        if rung.key not in taken:
            return rung, tuple(_undecided(rung, facts))
        if rung.action == "formal_demand" and facts.demand_sent() is None:
            return rung, (Reason("demand-not-sent"),)
    return None, (Reason("ladder-done"),)


def _undecided(rung: Rung, facts: CaseFacts) -> Iterator[Reason]:
    if facts.invoice.due_date is None:
        yield Reason("no-due-date")
    if rung.key == facts.pending:
        yield Reason("approval-pending", actual=rung.key)
    if rung.key in facts.rejected:
        yield Reason("rejected", actual=facts.rejected[rung.key])


def _unmet(rung: Rung, facts: CaseFacts, today: date) -> Iterator[Reason]:
    """The conditions of a rung that do not hold; those of time say until when."""
    when, due = rung.conditions(facts.profile), facts.invoice.due_date
    if due is not None:
        yield from _wait("days-overdue", due, when.days_overdue, today)
    if (count := facts.reminders()) < when.reminders:
        yield Reason("reminders", when.reminders, count)
    if when.days_since_contact and (last := facts.last_contact()):
        yield from _wait("days-since-contact", last, when.days_since_contact, today)
    if when.days_since_demand is not None and (sent := facts.demand_sent()):
        yield from _wait("days-since-demand", sent, when.days_since_demand, today)
    # One rung a day: what the last one set off is seen before the next is looked at.
    if facts.taken:
        yield from _wait("one-rung-a-day", max(t.on for t in facts.taken), 1, today)
    least = when.minimum_balance.get(facts.invoice.currency, 0)
    if facts.invoice.chased_minor < least:
        yield Reason("minimum-balance", least, facts.invoice.chased_minor)


def _wait(rule: str, since: date, days: int, today: date) -> Iterator[Reason]:
    if (today - since).days < days:
        yield Reason(rule, days, (today - since).days, until=since + timedelta(days=days))


def _not_before(reasons: tuple[Reason, ...], today: date) -> date | None:
    """The latest of the days on which the reasons end, or None when one of them does not end by itself.

    A hold that ends by itself is looked at again on that day even when something else is missing, so that the
    case does not stand as frozen for longer than it is.
    """
    ends = [r.until for r in reasons]
    if None not in ends:
        return max((e for e in ends if e), default=today)
    return max((r.until for r in reasons if r.rule == "held" and r.until), default=None)
