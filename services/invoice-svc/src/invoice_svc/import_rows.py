"""Rows of an import as they come in: which can be read, and which cannot and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from invoice_svc import days
from invoice_svc.inputs import DUE_BEFORE_ISSUE, ImportRow
from remit_service.faults import field_errors
from remit_service.problems import FieldError, Problem, invalid_fields, shown

_read = ImportRow.__pydantic_validator__.validate_python


@dataclass(slots=True)
class Result:
    """What became of one line: `status` is created, changed, unchanged, conflict or rejected."""

    line: int
    status: str
    invoice_number: str | None = None
    changes: list[dict[str, Any]] = field(default_factory=list)
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problem: dict[str, Any] | None = None

    def json(self) -> bytes:
        """As it is answered and kept."""
        return to_json(self)


def answer(kept: Mapping[str, Any]) -> bytes:
    """The answer of a line as it was kept, in the order of its fields."""
    return to_json({one.name: kept.get(one.name) for one in fields(Result)})


def rejected(line: int, number: Any, problem: Problem) -> Result:
    kept = storable(shown(number)) if isinstance(number, str) else None
    return Result(line, "rejected", kept, problem=storable(problem.body()))


def storable(value: Any) -> Any:
    """Quoted input without NUL, which PostgreSQL stores in no text."""
    if isinstance(value, str):
        return value.replace("\x00", "\N{SYMBOL FOR NULL}")
    if isinstance(value, dict):
        return {storable(name): storable(inner) for name, inner in value.items()}
    return [storable(inner) for inner in value] if isinstance(value, list) else value


def read(raw: Mapping[str, Any]) -> ImportRow:
    """The row, or the 422 problem that names its wrong fields."""
    try:
        row: ImportRow = _read(raw)
    except ValidationError as error:
        raise invalid_fields(field_errors(error.errors(include_url=False, include_context=True))) from None
    faults = list(_faults(row))
    if faults:
        raise invalid_fields(faults)
    return row


def _faults(row: ImportRow) -> list[FieldError]:
    """What is wrong between the fields of a row."""
    found: list[FieldError] = []
    if row.due_date and row.due_date < row.issue_date:
        detail = DUE_BEFORE_ISSUE.format(issue_date=row.issue_date, due_date=row.due_date)
        found.append(FieldError("/due_date", "due_before_issue", detail, row.due_date.isoformat()))
    open_amount = row.open_amount_minor
    if open_amount is not None and open_amount > row.amount_minor:
        detail = f"More is open than the invoice's amount of {row.amount_minor} minor units; check both."
        found.append(FieldError("/open_amount_minor", "more_than_amount", detail, open_amount))
    if row.paid_date and open_amount == row.amount_minor:
        detail = "It has a paid_date, yet all of it is open; correct one of them."
        found.append(FieldError("/open_amount_minor", "paid_but_open", detail, open_amount))
    return found


def paid_later(row: ImportRow, place: days.Place, now: datetime) -> bool:
    """Whether its paid_date is still to come at the customer's place."""
    return row.paid_date is not None and row.paid_date > days.latest_today(now, place)


def too_early(row: ImportRow, place: days.Place, now: datetime, *, live: bool) -> Problem | None:
    """Why the row cannot be taken over yet; None when it can."""
    faults = []
    if row.issue_date > days.latest_anywhere(now):
        detail = "This is in the future; an import on that day or later takes the invoice."
        faults.append(FieldError("/issue_date", "in_future", detail, row.issue_date.isoformat()))
    elif live and row.paid_date and paid_later(row, place, now):
        detail = "This is in the future at the customer's place; leave it empty until the money is in."
        faults.append(FieldError("/paid_date", "in_future", detail, row.paid_date.isoformat()))
    return invalid_fields(faults) if faults else None


def repeated(row: ImportRow, line: int) -> Problem:
    detail = f"Line {line} of this file has the same invoice_number; each invoice stands in one line."
    return invalid_fields([FieldError("/invoice_number", "duplicate", detail, row.invoice_number)])


def line_of(raw: Any, index: int) -> int:
    """The line a row says it is; a row that says none cannot be told apart and is refused as a request."""
    line = raw.get("line") if isinstance(raw, dict) else None
    if isinstance(line, int) and not isinstance(line, bool) and 1 <= line < 2**31:
        return line
    detail = "Every row needs its line in the file, a whole number from 1."
    raise invalid_fields([FieldError(f"/rows/{index}/line", "line", detail, line)])


def judge(raw: Sequence[Mapping[str, Any]]) -> dict[int, ImportRow | Result]:
    """By line each row as it can be read, or why it is rejected; of a line given twice the last."""
    judged: dict[int, ImportRow | Result] = {}
    for index, one in enumerate(raw):
        line = line_of(one, index)
        try:
            judged[line] = read(one)
        except Problem as problem:
            judged[line] = rejected(line, one.get("invoice_number"), problem)
    return judged


def sort_out(judged: Iterable[ImportRow | Result], seen: Mapping[str, int]) -> tuple[list[ImportRow], list[Result]]:
    """Readable rows with numbers of their own, and the rejected rest. `seen`: number → line of earlier rows."""
    rows, refused, lines = list[ImportRow](), list[Result](), dict(seen)
    for one in judged:
        if isinstance(one, Result):
            refused.append(one)
        elif one.invoice_number in lines:
            problem = repeated(one, lines[one.invoice_number])
            refused.append(rejected(one.line, one.invoice_number, problem))
        else:
            lines[one.invoice_number] = one.line
            rows.append(one)
    return rows, refused
