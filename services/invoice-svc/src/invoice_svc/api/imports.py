"""`/v1/imports`: an export of another system, taken over in batches of rows."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from sqlalchemy import select, text

from invoice_svc import imports
from invoice_svc.api.batches import MOST_ITEMS
from invoice_svc.api.views import ImportOut, shown
from invoice_svc.api.wiring import Importer
from invoice_svc.examples import IMPORT_ID, IMPORT_ROW
from invoice_svc.inputs import FinishIn, ImportIn, ImportRow
from invoice_svc.tables import import_row
from remit_service.api import Listing, Now, PageDep, Router, SessionDep, paginate, problem_responses

router = Router(prefix="/v1/imports", tags=["imports"])

_ROWS = {
    "type": "array",
    "maxItems": MOST_ITEMS,
    "items": ImportRow.model_json_schema(ref_template="#/components/schemas/{model}"),
}


class RowsIn(BaseModel):
    """Rows are judged one by one: a bad one never stops the others."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"rows": [IMPORT_ROW]}]})
    rows: Annotated[list[dict[str, Any]], Field(max_length=MOST_ITEMS), WithJsonSchema(_ROWS)]


class RowOut(BaseModel):
    """What became of a line. `changes` were taken over; `conflicts` were left alone."""

    model_config = shown(
        line=2, status="changed", invoice_number="2026-0042",
        changes=[{"field": "paid_date", "from": None, "to": "2026-03-30"}], conflicts=[], notes=[],
    )  # fmt: skip
    line: int
    status: Literal["created", "changed", "unchanged", "conflict", "rejected"]
    invoice_number: str | None = None
    changes: list[dict[str, Any]]
    conflicts: list[dict[str, Any]]
    notes: list[str]
    problem: dict[str, Any] | None = None


class RowsOut(BaseModel):
    model_config = shown(
        results=[
            {"line": 2, "status": "created", "invoice_number": "2026-0042", "changes": [], "conflicts": [], "notes": []}
        ]
    )
    results: list[RowOut]


class SummaryOut(BaseModel):
    """`conflicts` counts rows with any. `gone`: invoices of earlier imports the file does not name, none closed;
    `gone_open` are those of them that are not paid."""

    model_config = shown(
        id=IMPORT_ID, created=12, changed=3, unchanged=2450, conflicts=1, rejected=0, gone=["2025-0007"],
        gone_open=["2025-0007"], notes=["Customer C-1001: time zone Europe/Berlin filled in, as DE has one."],
    )  # fmt: skip
    id: UUID
    created: int
    changed: int
    unchanged: int
    conflicts: int
    rejected: int
    gone: list[str]
    gone_open: list[str]
    notes: list[str]


class Rejected(Listing[RowOut]):
    model_config = shown(data=[], next_cursor=None)


@router.post(
    "", summary="Begin an import of a ledger", status_code=201, responses=problem_responses(400, 401, 403, 415, 422)
)
async def start(body: ImportIn, session: SessionDep, caller: Importer, now: Now) -> ImportOut:
    return ImportOut.of(await imports.start(session, caller.seller_id, body, now))


@router.post(
    "/{import_id}/rows",
    summary="Send rows of an import",
    response_model=RowsOut,
    responses=problem_responses(400, 401, 403, 404, 409, 413, 415, 422),
)
async def add_rows(import_id: UUID, body: RowsIn, session: SessionDep, caller: Importer, now: Now) -> Response:
    """Up to 1,000 rows; a line sent twice gets its first answer. Of a dry run nothing stays but the answers."""
    results = await imports.add_rows(session, caller.seller_id, import_id, body.rows, now)
    return Response(b'{"results":[' + b",".join(results) + b"]}", media_type="application/json")


@router.post(
    "/{import_id}/finish", summary="Finish an import", responses=problem_responses(400, 401, 403, 404, 415, 422)
)
async def finish(
    import_id: UUID, session: SessionDep, caller: Importer, now: Now, body: FinishIn | None = None
) -> SummaryOut:
    """Sums up; invoices that are gone from the file are listed, none is closed."""
    present = body.present if body else []
    run = await imports.finish(session, caller.seller_id, import_id, present, now)
    return SummaryOut(id=run.id, **(run.summary or {}))


@router.get("/{import_id}", summary="Show an import", responses=problem_responses(401, 403, 404))
async def get(import_id: UUID, session: SessionDep, caller: Importer) -> ImportOut:
    return ImportOut.of(await imports.find(session, caller.seller_id, import_id))


@router.get(
    "/{import_id}/rejected",
    summary="List the rejected rows of an import",
    responses=problem_responses(401, 403, 404, 422),
)
async def rejected(import_id: UUID, session: SessionDep, caller: Importer, page: PageDep) -> Rejected:
    """The rows that were refused, with line, fields, values and reasons."""
    run = await imports.find(session, caller.seller_id, import_id)
    chosen = select(import_row.c.line, import_row.c.result).where(
        import_row.c.import_id == run.id, text("status = 'rejected'")
    )
    rows, next_cursor = await paginate(session, chosen, page, import_row.c.line)
    return Rejected(data=[RowOut.model_validate(row.result) for row in rows], next_cursor=next_cursor)
