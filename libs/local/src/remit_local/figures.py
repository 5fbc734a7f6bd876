"""What a simulation amounts to: counts, shares and series for the summary and the chart; pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import mean, median
from typing import Any

from remit_local.outputs import LoggedDecision, SentMessage, TakenRung

FOLLOW_UP = ("upcoming", "due", "overdue", "demand")


@dataclass(frozen=True, slots=True)
class Settlement:
    """One invoice and what became of it by the end; amounts in minor units of its currency."""

    number: str
    customer_id: str
    issue_date: date
    due_date: date | None
    currency: str
    amount_minor: int
    disputed: bool
    paid_on: date | None
    payments: tuple[tuple[date, int], ...] = ()

    @property
    def days_to_pay(self) -> int | None:
        return (self.paid_on - self.issue_date).days if self.paid_on else None

    @property
    def days_late(self) -> int | None:
        return (self.paid_on - self.due_date).days if self.paid_on and self.due_date else None


@dataclass(frozen=True, slots=True)
class StepFigures:
    """One step of the follow-up: its messages, the invoices it named, and how many were paid after it.

    `paid_next`: paid before any later step named them; `day` is the median of days from the due date.
    """

    step: str
    stage: str
    messages: int
    invoices: int
    paid_next: int
    paid_later: int
    day: float


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it; `open_series` holds per currency the amount open at the end of each day, in minor units."""

    first: date
    last: date
    settlements: tuple[Settlement, ...]
    steps: tuple[StepFigures, ...]
    open_series: dict[str, list[int]]
    summary: dict[str, Any]


def figures(
    settlements: Sequence[Settlement],
    messages: Sequence[SentMessage],
    decisions: Sequence[LoggedDecision],
    rungs: Sequence[TakenRung],
    last: date,
    begun: date | None = None,
) -> Figures:
    """Everything the summary and the chart show, from the rows of the output files and the invoices' fates.

    `begun` is the first day played where that is later than the first invoice's.
    """
    first = max(min((s.issue_date for s in settlements), default=last), begun or date.min)
    return Figures(
        first=first,
        last=last,
        settlements=tuple(settlements),
        steps=tuple(_steps(settlements, messages)),
        open_series=_open_series(settlements, first, last),
        summary=_summary(settlements, messages, decisions, rungs, first, last),
    )


def _steps(settlements: Sequence[Settlement], messages: Sequence[SentMessage]) -> list[StepFigures]:
    fate = {s.number: s for s in settlements}
    touches = _touches(messages)
    sent: dict[str, dict[str, date]] = defaultdict(dict)
    days: dict[str, list[int]] = defaultdict(list)
    stages: dict[str, str] = {}
    count: Counter[str] = Counter(m.step for m in messages if m.stage in FOLLOW_UP)
    for message in touches:
        stages.setdefault(message.step, message.stage)
        for number in message.invoice_numbers:
            day, due = message.local_time.date(), fate[number].due_date
            sent[number][message.step] = day
            if due:
                days[message.step].append((day - due).days)
    named, paid_next, paid_later = Counter[str](), Counter[str](), Counter[str]()
    for number, steps in sent.items():
        latest = max(steps, key=lambda step: steps[step])
        for step in steps:
            named[step] += 1
            if fate[number].paid_on:
                (paid_next if step == latest else paid_later)[step] += 1
    rows = [
        StepFigures(
            step, stages[step], count[step], named[step], paid_next[step], paid_later[step], median(days[step] or [0])
        )
        for step in stages
    ]
    return sorted(rows, key=lambda row: (row.stage == "demand", row.day, row.step))


def _touches(messages: Iterable[SentMessage]) -> list[SentMessage]:
    """One message per contact: e-mail, SMS and letter of one touch count once; in order of time."""
    follow_ups = sorted((m for m in messages if m.stage in FOLLOW_UP), key=SentMessage.key)
    return list({(m.customer_id, m.sent_at, m.invoice_numbers): m for m in follow_ups}.values())


def _open_series(settlements: Sequence[Settlement], first: date, last: date) -> dict[str, list[int]]:
    length = (last - first).days + 1
    changes: dict[str, list[int]] = {}
    for s in settlements:
        series = changes.setdefault(s.currency, [0] * length)
        for day, amount in [(s.issue_date, s.amount_minor), *((day, -amount) for day, amount in s.payments)]:
            index = max((day - first).days, 0)
            if index < length:
                series[index] += amount
    for series in changes.values():
        for index in range(1, length):
            series[index] += series[index - 1]
    by_weight = Counter(s.currency for s in settlements)
    return {currency: changes[currency] for currency, _ in sorted(by_weight.items(), key=lambda i: (-i[1], i[0]))}


def _summary(
    settlements: Sequence[Settlement],
    messages: Sequence[SentMessage],
    decisions: Sequence[LoggedDecision],
    rungs: Sequence[TakenRung],
    first: date,
    last: date,
) -> dict[str, Any]:
    paid = [s for s in settlements if s.paid_on]
    to_pay = [s.days_to_pay for s in paid if s.days_to_pay is not None]
    late = [max(s.days_late, 0) for s in paid if s.days_late is not None]
    steps = [(d.outcome, d.rule) for d in decisions]
    return {
        "from": first.isoformat(),
        "until": last.isoformat(),
        "customers": len({s.customer_id for s in settlements}),
        "invoices": len(settlements),
        "disputed": sum(s.disputed for s in settlements),
        "paid": len(paid),
        "paid_late": sum(days > 0 for days in late),
        "mean_days_to_pay": round(mean(to_pay), 2) if to_pay else None,
        "mean_days_late": round(mean(late), 2) if late else None,
        "open_at_end_minor": _open_at_end(settlements),
        "unreachable": _unreachable(settlements, messages, decisions),
        "messages": len(messages),
        "contacts": len(_touches(messages)),
        "customers_contacted": len({m.customer_id for m in messages if m.stage in FOLLOW_UP}),
        "messages_by_stage": _counted(m.stage for m in messages),
        "messages_by_step": _counted(m.step for m in messages if m.stage in FOLLOW_UP),
        "messages_by_channel": _counted(m.channel for m in messages),
        "messages_by_language": _counted(m.language for m in messages),
        "decisions_by_outcome": _counted(outcome for outcome, _ in steps),
        "decisions_by_rule": _counted(f"{outcome}: {rule}" for outcome, rule in steps),
        "escalations_by_rung": _counted(r.rung for r in rungs),
    }


def _open_at_end(settlements: Sequence[Settlement]) -> dict[str, int]:
    left: Counter[str] = Counter()
    for s in settlements:
        left[s.currency] += s.amount_minor - sum(amount for _, amount in s.payments)
    return dict(sorted(left.items()))


def _unreachable(
    settlements: Sequence[Settlement], messages: Sequence[SentMessage], decisions: Sequence[LoggedDecision]
) -> dict[str, Any]:
    """Customers no follow-up reached for want of a channel, how many invoices that left alone, and their amounts."""
    reached = {m.customer_id for m in messages if m.stage in FOLLOW_UP}
    alone = {d.invoice_number for d in decisions if d.rule == "no-channel" and d.customer_id not in reached}
    left = [s for s in settlements if s.number in alone]
    amounts: Counter[str] = Counter()
    for s in left:
        amounts[s.currency] += s.amount_minor
    customers = sorted({s.customer_id for s in left})
    return {"customers": customers, "invoices": len(left), "amount_minor": dict(sorted(amounts.items()))}


def _counted(values: Iterable[str]) -> dict[str, int]:
    """How often each occurs, most frequent first, ties by name."""
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))
