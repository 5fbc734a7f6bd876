"""Importing a ledger over HTTP: batches of rows, what became of each, and what is no longer in the file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from remit_local.client import readable
from remit_local.ledger import Ledger, LedgerRow, RowProblem
from remit_service.money import from_minor
from scheduler_svc.plan import REVIEW_AFTER_DAYS

# The service takes 1,000 rows and 2 MB at once.
BATCH = 1000
BATCH_BYTES = 1_000_000
MOST_PRESENT = 4_000  # numbers of refused rows; of any length they fit, and the rest is left out of `gone` here

# What the service calls a column, where that differs from the file's name for it.
COLUMN_OF = {
    "customer_external_id": "customer_id",
    "amount_minor": "amount",
    "open_amount_minor": "open_amount",
}


class Poster(Protocol):
    def post(self, service: str, path: str, body: Any = None, *, key: str | None = None, **params: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """A field in which the file and Remit disagree, as a file would say it; Remit's value stands."""

    invoice_number: str
    field: str
    ours: str
    theirs: str


@dataclass(slots=True)
class ImportReport:
    """What an import did: counts of rows by status, differences, and open invoices the file no longer has."""

    rows: Counter[str] = field(default_factory=Counter)
    conflicts: list[Difference] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    for_review: int = 0
    """New open invoices that are so old that a person looks at them first."""


def import_ledger(
    remit: Poster, ledger: Ledger, *, dry_run: bool, advance: Callable[[int], None] = lambda _rows: None
) -> ImportReport:
    """Sends the good rows; rows the service refuses move to the ledger's problems. Raises ApiError, RefusedError."""
    opening = {"file_name": ledger.path.name, "rows_total": ledger.rows_total, "dry_run": dry_run, "live": True}
    started = remit.post("invoice-svc", "/v1/imports", opening)
    report = ImportReport()
    done = 0
    for bodies in batches(map(row_body, ledger.rows)):
        answer = remit.post("invoice-svc", f"/v1/imports/{started['id']}/rows", {"rows": bodies})
        for row, result in zip(ledger.rows[done : done + len(bodies)], answer["results"], strict=True):
            _take(report, ledger, row, result)
        done += len(bodies)
        advance(len(bodies))
    refused = sorted(ledger.numbers - {row.invoice_number for row in ledger.rows})
    summary = remit.post("invoice-svc", f"/v1/imports/{started['id']}/finish", {"present": refused[:MOST_PRESENT]})
    report.rows["rejected"] = len(ledger.rejected_lines)
    if not ledger.partial:
        report.gone = [number for number in summary["gone_open"] if number not in ledger.numbers]
    report.notes = list(summary["notes"])
    return report


def row_body(row: LedgerRow) -> dict[str, Any]:
    """A row as POST /v1/imports/{id}/rows takes it; empty cells are left out."""
    body: dict[str, Any] = {
        "line": row.line,
        "customer_external_id": row.customer_id,
        "customer_name": row.customer_name,
        "email": row.email,
        "phone": row.phone,
        "profile": row.profile,
        "country": row.country,
        "timezone": row.timezone,
        "language": row.language,
        "invoice_number": row.invoice_number,
        "issue_date": row.issue_date.isoformat(),
        "due_date": row.due_date.isoformat() if row.due_date else None,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "disputed": row.disputed,
        "paid_date": row.paid_date.isoformat() if row.paid_date else None,
        "open_amount_minor": row.open_minor,
        "sms_consent": row.sms_consent,
        "address": row.address,
    }
    return {name: value for name, value in body.items() if value is not None}


def batches(bodies: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """As many at once as a request may hold."""
    batch: list[dict[str, Any]] = []
    size = 0
    for body in bodies:
        length = len(json.dumps(body, ensure_ascii=False).encode())
        if batch and (len(batch) == BATCH or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += length
    if batch:
        yield batch


def _take(report: ImportReport, ledger: Ledger, row: LedgerRow, result: dict[str, Any]) -> None:
    status = result["status"]
    if status == "rejected":
        for problem in _problems(row, result.get("problem") or {}):
            ledger.reject(problem)
        return
    report.rows[status] += 1
    report.for_review += status == "created" and _very_old(row)
    found = {one["field"]: (one["ours"], one["theirs"]) for one in result["conflicts"]}
    currencies = found.get("currency", (row.currency, row.currency))
    for name, values in found.items():
        ours, theirs = (_cell(name, value, of) for value, of in zip(values, currencies, strict=True))
        report.conflicts.append(Difference(row.invoice_number, COLUMN_OF.get(name, name), ours, theirs))


def _very_old(row: LedgerRow) -> bool:
    owed = row.paid_date is None and row.open_minor != 0
    today = datetime.now(UTC).date()
    return owed and row.due_date is not None and (today - row.due_date).days > REVIEW_AFTER_DAYS


def _cell(name: str, value: Any, currency: str) -> str:
    """A value as it would stand in a file."""
    if value is None:
        return "(blank)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(from_minor(value, currency)) if name.endswith("_minor") else str(value)


def _problems(row: LedgerRow, problem: dict[str, Any]) -> Iterator[RowProblem]:
    errors = problem.get("errors") or []
    if not errors:
        yield RowProblem(row.line, "row", row.invoice_number, readable(problem))
    for error in errors:
        name = str(error.get("pointer", "")).rpartition("/")[2] or "row"
        value = error.get("value")
        reason = str(error.get("detail", ""))
        yield RowProblem(row.line, COLUMN_OF.get(name, name), "" if value is None else str(value), reason)
