"""What becomes of one customer's invoices, told from domain-rules.md and from nothing of scheduler-svc.

For a policy whose window is open every day from 9 to 17, that consolidates, collapses what was missed, and leaves
`gap` days between two contacts. Sent is what goes: nothing fails on its way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

OPENS, CLOSES = time(9), time(17)
Message = list[tuple[str, str]]  # (invoice number, step), the hardest first


@dataclass
class Debt:
    """One invoice. `done`: each step's one outcome; `waiting`: what was due and held back; `ended`: what ended with
    the payment; `reopened`: what had ended with one that was taken back, of which the log keeps that it had."""

    number: str
    issued: date
    due: date
    steps: dict[str, int]
    status: str = "issued"
    closed_on: date | None = None
    disputed: bool = False
    disputed_before: bool = False
    hold: date | None = None
    promise: date | None = None  # the last day of its grace
    broken: int = 0
    harder_used: int = 0
    done: dict[str, str] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    reopened: set[str] = field(default_factory=set)

    @property
    def open(self) -> bool:
        return self.status == "issued"

    def falls(self, step: str) -> date:
        return self.due + timedelta(days=self.steps[step])

    def left(self) -> list[str]:
        """What fell or will fall due and has no outcome yet, easiest first."""
        return [step for step in self.steps if step not in self.done and self.falls(step) > self.issued]

    def end(self, status: str, on: date) -> None:
        self.status, self.closed_on, self.disputed_before = status, on, self.disputed

    def owed_again(self) -> None:
        """What the payment had ended, and nothing else, is decided anew."""
        self.done = {step: outcome for step, outcome in self.done.items() if step not in self.ended}
        self.reopened |= self.ended
        self.ended = set()
        self.status, self.closed_on, self.disputed_before = "issued", None, False


@dataclass
class Account:
    """A customer: everything that holds all of it back, and what was sent."""

    gap: int
    debts: dict[str, Debt] = field(default_factory=dict)
    hold: date | None = None
    automation: bool = True
    unanswered: set[object] = field(default_factory=set)
    last_contact: date | None = None

    def look(self, now: datetime) -> Message:
        """Everything due at a local moment; gives the one message that goes, if any does."""
        today = now.date()
        going = []
        for debt in self.debts.values():
            if debt.open:
                if found := self._due(debt, now):
                    going.append((debt, found))
            else:
                self._close(debt)
        if not going:
            return []
        too_soon = self.last_contact is not None and today < self.last_contact + timedelta(days=self.gap)
        if not OPENS <= now.time() < CLOSES or too_soon:
            for debt, found in going:
                debt.waiting |= set(found)
            return []
        self.last_contact = today
        led = [(debt, *self._led(debt, found, today)) for debt, found in going]
        led.sort(key=lambda one: (-one[0].steps[one[1]], one[0].due, one[0].number))
        for debt, lead, taken in led:
            debt.done |= dict.fromkeys(taken, "merged") | {lead: "sent"}
        return [(debt.number, lead) for debt, lead, _ in led]

    def _due(self, debt: Debt, now: datetime) -> list[str]:
        """The steps that may go as far as the invoice is concerned; what will not is written down."""
        today = now.date()
        steps = [s for s in debt.left() if datetime.combine(debt.falls(s), OPENS, now.tzinfo) <= now]
        if debt.disputed:
            debt.done |= dict.fromkeys(steps, "suppressed disputed")
            return []
        for step in [s for s in steps if debt.steps[s] < 0 and today >= debt.due]:
            debt.done[step] = "skipped too-late"
            steps.remove(step)
        held = any(last and today <= last for last in (self.hold, debt.hold, debt.promise))
        if held or not self.automation or self.unanswered:
            debt.waiting |= set(steps)
            return []
        return steps

    def _led(self, debt: Debt, steps: list[str], today: date) -> tuple[str, list[str]]:
        """The step that goes and those it takes along; one harder after a broken promise, where there is one."""
        if debt.broken > debt.harder_used and today > debt.due:
            for harder in debt.left():
                if debt.steps[harder] > debt.steps[steps[-1]]:
                    debt.harder_used = debt.broken
                    return harder, steps
        return steps[-1], steps[:-1]

    def _close(self, debt: Debt) -> None:
        """What fell due before that day, or was waiting, will not go any more."""
        assert debt.closed_on
        for step in debt.left():
            if debt.falls(step) < debt.closed_on or step in debt.waiting:
                debt.done[step] = "suppressed disputed" if debt.disputed_before else f"suppressed {debt.status}"
                debt.ended.add(step)
