"""The files of a simulation: rows with one fixed order and form, so that the same input gives the same bytes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from remit_local.ledger_csv import escape

MESSAGES = (
    "sent_at",
    "local_time",
    "customer_id",
    "channel",
    "stage",
    "step",
    "tone",
    "language",
    "invoice_numbers",
    "amounts_minor",
    "currencies",
    "subject",
)
DECISIONS = ("at", "customer_id", "invoice_number", "step", "outcome", "rule")
ESCALATIONS = (
    "at",
    "customer_id",
    "invoice_number",
    "rung",
    "action",
    "approved_by",
    "reminders_sent",
    "days_overdue",
    "balance_minor",
)


@dataclass(frozen=True, slots=True)
class SentMessage:
    """One delivery that left: `customer_id` and numbers are the ledger's; numbers, amounts, currencies run parallel."""

    sent_at: datetime
    local_time: datetime
    customer_id: str
    channel: str
    stage: str
    step: str
    tone: str
    language: str
    invoice_numbers: tuple[str, ...]
    amounts_minor: tuple[int, ...]
    currencies: tuple[str, ...]
    subject: str

    def key(self) -> tuple[object, ...]:
        return (self.sent_at, self.customer_id, self.channel, self.step, self.invoice_numbers, self.stage)

    def cells(self) -> list[str]:
        return [
            utc(self.sent_at),
            self.local_time.isoformat(),
            self.customer_id,
            self.channel,
            self.stage,
            self.step,
            self.tone,
            self.language,
            ";".join(self.invoice_numbers),
            ";".join(map(str, self.amounts_minor)),
            ";".join(self.currencies),
            self.subject,
        ]


@dataclass(frozen=True, slots=True)
class LoggedDecision:
    """One row of the decision log about one step of one invoice."""

    at: datetime
    customer_id: str
    invoice_number: str
    step: str
    outcome: str
    rule: str

    def key(self) -> tuple[object, ...]:
        return (self.at, self.customer_id, self.step, self.invoice_number, self.outcome, self.rule)

    def cells(self) -> list[str]:
        return [utc(self.at), self.customer_id, self.invoice_number, self.step, self.outcome, self.rule]


@dataclass(frozen=True, slots=True)
class TakenRung:
    """One rung of the ladder that was triggered; `balance_minor` in the invoice's currency."""

    at: datetime
    customer_id: str
    invoice_number: str
    rung: str
    action: str
    approved_by: str
    reminders_sent: int
    days_overdue: int
    balance_minor: int

    def key(self) -> tuple[object, ...]:
        return (self.at, self.customer_id, self.rung, self.invoice_number)

    def cells(self) -> list[str]:
        return [
            utc(self.at),
            self.customer_id,
            self.invoice_number,
            self.rung,
            self.action,
            self.approved_by,
            str(self.reminders_sent),
            str(self.days_overdue),
            str(self.balance_minor),
        ]


def utc(moment: datetime) -> str:
    """ISO 8601 in UTC with a Z; whole seconds are written without a fraction."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def write_messages(path: Path, rows: Iterable[SentMessage]) -> None:
    _write(path, MESSAGES, [row.cells() for row in sorted(rows, key=SentMessage.key)])


def write_decisions(path: Path, rows: Iterable[LoggedDecision]) -> None:
    _write(path, DECISIONS, [row.cells() for row in sorted(rows, key=LoggedDecision.key)])


def write_escalations(path: Path, rows: Iterable[TakenRung]) -> None:
    _write(path, ESCALATIONS, [row.cells() for row in sorted(rows, key=TakenRung.key)])


def _write(path: Path, header: Sequence[str], rows: Iterable[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([escape(cell) for cell in row] for row in rows)
