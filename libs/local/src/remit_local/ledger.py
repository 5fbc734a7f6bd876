"""What a ledger file says, row by row: the columns, one parsed row, one problem."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

REQUIRED = ("customer_id", "customer_name", "country", "invoice_number", "issue_date", "due_date", "amount", "currency")
OF_CUSTOMER = ("email", "phone", "address", "profile", "timezone", "language", "sms_consent")
STATED = ("disputed", "paid_date", "open_amount")  # a missing one says nothing
OPTIONAL = OF_CUSTOMER + STATED
COLUMNS = REQUIRED + OPTIONAL


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One invoice of a ledger with its customer; amounts in minor units, dates in the customer's zone.

    None: the file says nothing about it. `line` is the line its record starts on.
    """

    line: int
    customer_id: str
    customer_name: str
    country: str
    invoice_number: str
    issue_date: date
    due_date: date | None
    amount_minor: int
    currency: str
    profile: str | None = None
    email: str | None = None
    phone: str | None = None
    timezone: str | None = None
    language: str | None = None
    disputed: bool | None = None
    paid_date: date | None = None
    open_minor: int | None = None
    sms_consent: bool | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why a row was not taken: the column, what stood there, and the reason with the way out."""

    line: int
    field: str
    value: str
    reason: str

    def __str__(self) -> str:
        value = f" {self.value!r}" if self.value else ""
        return f"line {self.line}: {self.field}{value}: {self.reason}"


@dataclass(slots=True)
class Ledger:
    """A ledger file as read: good rows in file order, problems, and every row's original cells.

    `numbers` are the invoice numbers of all rows, rejected ones too: what is there is not gone. `partial`: these are
    rows an earlier import rejected, and what else there is stands in the whole file.
    """

    path: Path
    header: list[str]
    delimiter: str
    partial: bool = False
    rows: list[LedgerRow] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    originals: dict[int, list[str]] = field(default_factory=dict)
    numbers: set[str] = field(default_factory=set)

    @property
    def rows_total(self) -> int:
        return len(self.originals)

    def reject(self, problem: RowProblem) -> None:
        """Notes that a row turned out bad later (the service refused it)."""
        self.problems.append(problem)

    @property
    def rejected_lines(self) -> set[int]:
        return {problem.line for problem in self.problems}

    @property
    def accepted(self) -> list[LedgerRow]:
        """The rows nothing is wrong with."""
        rejected = self.rejected_lines
        return [row for row in self.rows if row.line not in rejected]
