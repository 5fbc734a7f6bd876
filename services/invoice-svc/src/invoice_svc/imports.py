"""Imports: an export of another system taken over row by row; the same file again changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from invoice_svc import import_apply
from invoice_svc.import_rows import Result, answer, judge, sort_out
from invoice_svc.inputs import ImportIn, ImportRow
from invoice_svc.tables import import_row, import_run
from remit_events.session import Session
from remit_service.bulk import fetch, insert_rows, new_id, update_rows
from remit_service.problems import conflict, not_found

STATUSES = ("created", "changed", "unchanged", "rejected")
MOST_LISTED = 10_000

_SEEN = """
SELECT invoice_number, min(line) AS line FROM import_row
WHERE import_id = :id AND status <> 'rejected' AND invoice_number = ANY(CAST(:numbers AS text[]))
GROUP BY invoice_number
"""
_ANSWERED = "SELECT line, result FROM import_row WHERE import_id = :id AND line = ANY(CAST(:lines AS int[]))"
_COUNTS = """
SELECT status, count(*) AS rows, count(*) FILTER (WHERE jsonb_array_length(result -> 'conflicts') > 0) AS conflicts
FROM import_row WHERE import_id = :id GROUP BY status
"""
_NOTES = """
SELECT note FROM import_row, jsonb_array_elements_text(result -> 'notes') AS note
WHERE import_id = :id ORDER BY line, note LIMIT :most
"""
# What earlier imports brought and this file does not name. A rejected row names its invoice all the same.
_GONE = """
SELECT number, status FROM invoice AS i
WHERE seller_id = :seller_id AND imported AND status <> 'void' AND number <> ALL(CAST(:present AS text[]))
AND NOT EXISTS (SELECT FROM import_row AS r WHERE r.import_id = :id AND r.invoice_number = i.number)
ORDER BY number LIMIT :most
"""


@dataclass(slots=True, kw_only=True)
class ImportRun:
    """One file being taken over; `summary` stands once it is finished."""

    id: UUID
    seller_id: UUID
    file_name: str
    rows_total: int
    dry_run: bool
    live: bool
    summary: dict[str, Any] | None = None
    created_at: datetime
    finished_at: datetime | None = None


COLUMNS = tuple(one.name for one in fields(ImportRun))
_FIND = f"SELECT {', '.join(COLUMNS)} FROM import_run WHERE id = :id AND seller_id = :seller_id"  # noqa: S608 - ours


async def start(session: Session, seller_id: UUID, given: ImportIn, now: datetime) -> ImportRun:
    run = ImportRun(id=new_id(), seller_id=seller_id, created_at=now, **given.model_dump())
    await insert_rows(session, import_run, [{name: getattr(run, name) for name in COLUMNS}])
    return run


async def add_rows(
    session: Session, seller_id: UUID, import_id: UUID, raw: Sequence[Mapping[str, Any]], now: datetime
) -> list[bytes]:
    """Takes rows over and gives what became of each as JSON, in order. A line sent twice gets its first answer.

    Good rows go in whatever stands beside them. A dry run rolls everything back but the answers.
    """
    # Before the lock: one call's rows are read while those of another are stored.
    judged = judge(raw)
    run = await _open_run(session, seller_id, import_id)
    lines = list(judged)
    answered = {row.line: answer(row.result) for row in await fetch(session, _ANSWERED, id=run.id, lines=lines)}
    fresh = [one for line, one in judged.items() if line not in answered]
    numbers = [one.invoice_number for one in fresh if isinstance(one, ImportRow)]
    seen = {row.invoice_number: row.line for row in await fetch(session, _SEEN, id=run.id, numbers=numbers)}
    rows, results = sort_out(fresh, seen)
    results += await _applied(session, run, rows, now)
    answers = {result.line: result.json() for result in results}
    await _keep(session, run, results, answers)
    answers |= answered
    return [answers[one["line"]] for one in raw]


async def _applied(session: Session, run: ImportRun, rows: Sequence[Any], now: datetime) -> list[Result]:
    if not run.dry_run:
        return await import_apply.apply(session, run.seller_id, rows, now, live=run.live)
    async with session.undone():
        return await import_apply.apply(session, run.seller_id, rows, now, live=run.live)


async def _keep(session: Session, run: ImportRun, results: Sequence[Result], answers: Mapping[int, bytes]) -> None:
    rows = [
        {
            "import_id": run.id,
            "line": one.line,
            "invoice_number": one.invoice_number,
            "status": one.status,
            "result": answers[one.line],
        }
        for one in results
    ]
    await insert_rows(session, import_row, rows)


async def finish(
    session: Session, seller_id: UUID, import_id: UUID, present: Sequence[str], now: datetime
) -> ImportRun:
    """Sums the import up and lists the invoices that are gone from the file, closing none. Done again, the same.

    `present`: numbers of rows the caller refused itself, which are in the file all the same.
    """
    run = await _locked(session, seller_id, import_id)
    if run.summary is not None:
        return run
    counts = {row.status: row for row in await fetch(session, _COUNTS, id=run.id)}
    gone = await fetch(session, _GONE, id=run.id, seller_id=seller_id, present=list(present), most=MOST_LISTED)
    notes = [row.note for row in await fetch(session, _NOTES, id=run.id, most=MOST_LISTED)]
    run.summary = {
        **{
            name: counts[name].rows if name in counts else 0 for name in ("created", "changed", "unchanged", "rejected")
        },
        "conflicts": sum(row.conflicts for row in counts.values()),
        "gone": [row.number for row in gone],
        "gone_open": [row.number for row in gone if row.status != "paid"],
        "notes": notes,
    }
    run.finished_at = now
    row = {"id": run.id, "summary": run.summary, "finished_at": now}
    await update_rows(session, import_run, [row])
    return run


async def find(session: Session, seller_id: UUID, import_id: UUID, *, lock: bool = False) -> ImportRun:
    """Raises a 404 problem."""
    rows = await fetch(session, _FIND + " FOR UPDATE" * lock, id=import_id, seller_id=seller_id)
    if not rows:
        raise not_found("import", import_id)
    return ImportRun(**rows[0])


async def _open_run(session: Session, seller_id: UUID, import_id: UUID) -> ImportRun:
    run = await _locked(session, seller_id, import_id)
    if run.finished_at is not None:
        raise conflict("import-finished", "This import is finished. Start another with POST /v1/imports.")
    return run


async def _locked(session: Session, seller_id: UUID, import_id: UUID) -> ImportRun:
    """Locked, so that its rows come in one request after the other."""
    return await find(session, seller_id, import_id, lock=True)
