"""`/v1/invoices`: what is owed, one by one and in batches; nothing edits an issued one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import AwareDatetime, TypeAdapter

from invoice_svc import invoice_lists, invoices, issuing, voiding
from invoice_svc.api import batches
from invoice_svc.api.batches import BatchIn, BatchOut, items_of
from invoice_svc.api.views import InvoiceOut, shown
from invoice_svc.api.wiring import Atomic, InvoiceReader, InvoiceWriter
from invoice_svc.examples import AT, INVOICE_IN, INVOICE_STATE
from invoice_svc.inputs import InvoiceIn, IssueIn, ReasonIn
from invoice_svc.invoice_lists import Filter
from invoice_svc.invoices import Invoice
from invoice_svc.tables import invoice as table
from remit_service.api import (
    Listing,
    Now,
    PageDep,
    Router,
    SessionDep,
    check_if_match,
    etag,
    paginate,
    problem_responses,
)
from remit_service.problems import Problem, invalid, not_found

router = Router(prefix="/v1/invoices", tags=["invoices"])

_ALL = TypeAdapter(list[InvoiceIn])
Status = Literal["draft", "issued", "partly_paid", "paid", "void", "open"]


class InvoiceBatch(BatchIn):
    model_config = shown(invoices=[INVOICE_IN])
    invoices: items_of("InvoiceIn")  # type: ignore[valid-type]  # made for each schema


class Invoices(Listing[InvoiceOut]):
    model_config = shown(data=[INVOICE_STATE | {"paid_minor": 0, "created_at": AT, "updated_at": AT}], next_cursor=None)


@router.get("", summary="List invoices", responses=problem_responses(401, 403, 422))
async def listing(
    session: SessionDep,
    caller: InvoiceReader,
    page: PageDep,
    now: Now,
    status: Annotated[Status | None, Query(description="`open`: issued or partly paid.")] = None,
    customer: Annotated[str | None, Query(max_length=100, description="Id or external id.")] = None,
    due_before: Annotated[date | None, Query()] = None,
    overdue: Annotated[bool | None, Query(description="By the date at the customer's place.")] = None,
    external_id: Annotated[str | None, Query(max_length=100)] = None,
    number: Annotated[str | None, Query(max_length=100)] = None,
    updated_since: Annotated[AwareDatetime | None, Query()] = None,
) -> Invoices:
    """Invoices in the order they were made."""
    wanted = Filter(status, customer, due_before, overdue, external_id, number, updated_since)
    chosen = await invoice_lists.select_invoices(session, caller.seller_id, wanted, now)
    rows, next_cursor = await paginate(session, chosen, page, table.c.id)
    return Invoices(data=[InvoiceOut.of(Invoice(**row._mapping)) for row in rows], next_cursor=next_cursor)


@router.post(
    "",
    summary="Issue an invoice, or keep a draft",
    status_code=201,
    responses=problem_responses(400, 401, 403, 404, 409, 413, 415, 422),
)
async def create(
    body: InvoiceIn, session: SessionDep, caller: InvoiceWriter, now: Now, response: Response
) -> InvoiceOut:
    """Issues at once, unless `draft`; without a number the next one of the seller's series is given, gap-free."""
    [made] = await issuing.create(session, caller.seller_id, [body], now)
    if isinstance(made, Problem):
        raise made
    response.headers["Location"] = f"/v1/invoices/{made.id}"
    return _out(made, response)


@router.post(
    "/batch",
    summary="Issue many invoices at once",
    response_model=BatchOut,
    responses=problem_responses(400, 401, 403, 409, 413, 415, 422),
)
async def create_batch(
    body: InvoiceBatch, session: SessionDep, caller: InvoiceWriter, now: Now, atomic: Atomic = False
) -> Response:
    """Up to 1,000 invoices; the answer has a result for each, in order."""

    async def act(given: Sequence[InvoiceIn]) -> Sequence[Invoice | Problem]:
        return await issuing.create(session, caller.seller_id, given, now)

    return await batches.run(_ALL, body.invoices, act, _result, atomic=atomic)


def _result(one: Invoice) -> dict[str, Any]:
    return {"status": 201, "id": one.id, "number": one.number}


@router.get(
    "/by-external-id/{external_id:path}",
    summary="Show an invoice by your own id",
    responses=problem_responses(401, 403, 404),
)
async def get_external(external_id: str, session: SessionDep, caller: InvoiceReader, response: Response) -> InvoiceOut:
    one = await invoices.find(session, caller.seller_id, external_id)
    if one is None:
        raise not_found("invoice", external_id)
    return _out(one, response)


@router.put(
    "/by-external-id/{external_id:path}",
    summary="Make or replace an invoice by your own id",
    responses=problem_responses(400, 401, 403, 404, 409, 412, 413, 415, 422)
    | {201: {"model": InvoiceOut, "description": "Made"}},
)
async def put_external(
    external_id: str,
    body: InvoiceIn,
    request: Request,
    response: Response,
    session: SessionDep,
    caller: InvoiceWriter,
    now: Now,
) -> InvoiceOut:
    """Makes it (201), writes a draft anew, or finds the issued one saying the same (200); anything else is 409."""
    if body.external_id not in (None, external_id):
        raise invalid("/external_id", "external_id", "It differs from the path; leave it out here.", body.external_id)
    given = body.model_copy(update={"external_id": external_id})
    known = await invoices.find(session, caller.seller_id, external_id)
    if known is None:
        check_if_match(request, "none", required=False)
        response.status_code = 201
        return await create(given, session, caller, now, response)
    customer, invoice = await invoices.lock_one(session, caller.seller_id, known.id)
    check_if_match(request, invoice.version, required=False)
    return _out(await issuing.revise(session, customer, invoice, given, now), response)


@router.get("/{invoice_id}", summary="Show an invoice", responses=problem_responses(401, 403, 404))
async def get(invoice_id: UUID, session: SessionDep, caller: InvoiceReader, response: Response) -> InvoiceOut:
    one = await invoices.find(session, caller.seller_id, invoice_id)
    if one is None:
        raise not_found("invoice", invoice_id)
    return _out(one, response)


@router.put(
    "/{invoice_id}",
    summary="Replace a draft invoice",
    responses=problem_responses(400, 401, 403, 404, 409, 412, 413, 415, 422, 428),
)
async def put(
    invoice_id: UUID,
    body: InvoiceIn,
    request: Request,
    response: Response,
    session: SessionDep,
    caller: InvoiceWriter,
    now: Now,
) -> InvoiceOut:
    """Writes a draft anew, and issues it unless `draft`; send the ETag you read as If-Match."""
    customer, invoice = await invoices.lock_one(session, caller.seller_id, invoice_id)
    check_if_match(request, invoice.version)
    given = body if body.external_id else body.model_copy(update={"external_id": invoice.external_id})
    return _out(await issuing.revise(session, customer, invoice, given, now), response)


@router.delete(
    "/{invoice_id}", summary="Delete a draft invoice", status_code=204, responses=problem_responses(401, 403, 404, 409)
)
async def delete(invoice_id: UUID, session: SessionDep, caller: InvoiceWriter) -> Response:
    """Only a draft; an issued invoice is voided."""
    await voiding.delete_draft(session, caller.seller_id, invoice_id)
    return Response(status_code=204)


@router.post(
    "/{invoice_id}/issue",
    summary="Issue a draft invoice",
    responses=problem_responses(400, 401, 403, 404, 409, 415, 422),
)
async def issue(
    invoice_id: UUID,
    session: SessionDep,
    caller: InvoiceWriter,
    now: Now,
    response: Response,
    body: IssueIn | None = None,
) -> InvoiceOut:
    """Makes a draft final."""
    return _out(await issuing.issue_draft(session, caller.seller_id, invoice_id, body or IssueIn(), now), response)


@router.post(
    "/{invoice_id}/void",
    summary="Void an issued invoice",
    responses=problem_responses(400, 401, 403, 404, 409, 415, 422),
)
async def void(
    invoice_id: UUID, body: ReasonIn, session: SessionDep, caller: InvoiceWriter, now: Now, response: Response
) -> InvoiceOut:
    """Cancels an issued invoice; not while money is on it. Its disputes and promise end with it."""
    return _out(await voiding.void(session, caller.seller_id, invoice_id, body.reason, now), response)


def _out(one: Invoice, response: Response) -> InvoiceOut:
    response.headers["ETag"] = etag(one.version)
    return InvoiceOut.of(one)
