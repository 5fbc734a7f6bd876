"""`/v1/invoices/{id}/…`: holds, disputes, promises, payments and the timeline of one invoice."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response
from pydantic import BaseModel
from sqlalchemy import select

from invoice_svc import disputes, holds, invoices, payments, promises, timeline
from invoice_svc.api.events import CLOUD_EVENT, CloudEvent
from invoice_svc.api.views import DisputeOut, InvoiceOut, PaymentOut, PromiseOut, shown
from invoice_svc.api.wiring import InvoiceReader, InvoiceWriter, WiringDep
from invoice_svc.inputs import DisputeIn, HoldIn, PromiseIn, ReasonIn
from invoice_svc.invoices import Invoice
from invoice_svc.tables import allocation, payment, timeline_entry
from invoice_svc.timeline import Entry
from remit_service.api import Listing, Now, PageDep, Router, SessionDep, etag, paginate, problem_responses
from remit_service.problems import not_found

router = Router(prefix="/v1/invoices/{invoice_id}", tags=["follow-up"])


def _example(model: type[BaseModel]) -> object:
    extra = model.model_config["json_schema_extra"]
    return extra["examples"][0] if isinstance(extra, dict) else None  # type: ignore[index]


class Disputes(Listing[DisputeOut]):
    model_config = shown(data=[_example(DisputeOut)], next_cursor=None)


class Promises(Listing[PromiseOut]):
    model_config = shown(data=[_example(PromiseOut)], next_cursor=None)


class InvoicePayments(Listing[PaymentOut]):
    model_config = shown(data=[_example(PaymentOut)], next_cursor=None)


class Timeline(Listing[CloudEvent]):
    model_config = shown(data=[CLOUD_EVENT], next_cursor=None)


@router.post("/hold", summary="Put an invoice on hold", responses=problem_responses(400, 401, 403, 404, 409, 415, 422))
async def hold(
    invoice_id: UUID,
    body: HoldIn,
    session: SessionDep,
    caller: InvoiceWriter,
    now: Now,
    wiring: WiringDep,
    response: Response,
) -> InvoiceOut:
    """No follow-up of this invoice, through `until` at the customer's place; a hold that stands is replaced."""
    one, ends = await holds.hold_invoice(session, caller.seller_id, invoice_id, body.reason, body.until, now)
    wiring.holds.note(ends)
    response.headers["ETag"] = etag(one.version)
    return InvoiceOut.of(one)


@router.post(
    "/release", summary="Release an invoice from hold", responses=problem_responses(400, 401, 403, 404, 409, 415, 422)
)
async def release(
    invoice_id: UUID, body: ReasonIn, session: SessionDep, caller: InvoiceWriter, now: Now, response: Response
) -> InvoiceOut:
    one = await holds.release_invoice(session, caller.seller_id, invoice_id, body.reason, now)
    response.headers["ETag"] = etag(one.version)
    return InvoiceOut.of(one)


@router.post(
    "/disputes",
    summary="Open a dispute on an invoice",
    status_code=201,
    responses=problem_responses(400, 401, 403, 404, 409, 415, 422),
)
async def dispute(
    invoice_id: UUID, body: DisputeIn, session: SessionDep, caller: InvoiceWriter, now: Now
) -> DisputeOut:
    """The debtor contests a part, or all of it; only the undisputed rest is chased."""
    return DisputeOut.of(await disputes.open_dispute(session, caller.seller_id, invoice_id, body, now))


@router.get("/disputes", summary="List an invoice's disputes", responses=problem_responses(401, 403, 404))
async def list_disputes(invoice_id: UUID, session: SessionDep, caller: InvoiceReader) -> Disputes:
    await _one(session, caller.seller_id, invoice_id)
    found = await disputes.of_invoice(session, caller.seller_id, invoice_id)
    return Disputes(data=[DisputeOut.of(one) for one in found])


@router.post(
    "/promises",
    summary="Record a promise to pay an invoice",
    status_code=201,
    responses=problem_responses(400, 401, 403, 404, 409, 415, 422),
)
async def promise(
    invoice_id: UUID, body: PromiseIn, session: SessionDep, caller: InvoiceWriter, now: Now, wiring: WiringDep
) -> PromiseOut:
    """Nothing is chased through the promised day and its grace; a promise that runs is replaced."""
    _, row = await promises.make(session, caller.seller_id, invoice_id, body, now)
    wiring.promises.note(row["expires_at"])
    return PromiseOut.of(row)


@router.get("/promises", summary="List an invoice's promises to pay", responses=problem_responses(401, 403, 404))
async def list_promises(invoice_id: UUID, session: SessionDep, caller: InvoiceReader) -> Promises:
    await _one(session, caller.seller_id, invoice_id)
    rows = await promises.of_invoice(session, caller.seller_id, invoice_id)
    return Promises(data=[PromiseOut.of(row) for row in rows])


@router.get("/payments", summary="List an invoice's payments", responses=problem_responses(401, 403, 404))
async def list_payments(invoice_id: UUID, session: SessionDep, caller: InvoiceReader) -> InvoicePayments:
    """Every payment put to the invoice, reversed ones too, oldest first."""
    await _one(session, caller.seller_id, invoice_id)
    mine = payment.c.id.in_(select(allocation.c.payment_id).where(allocation.c.invoice_id == invoice_id))
    found = await payments.load(session, caller.seller_id, mine)
    return InvoicePayments(data=[PaymentOut.of(one) for one in found])


@router.get("/timeline", summary="Read an invoice's timeline", responses=problem_responses(401, 403, 404, 422))
async def list_timeline(invoice_id: UUID, session: SessionDep, caller: InvoiceReader, page: PageDep) -> Timeline:
    """Every event of all four services about the invoice, in the order of time."""
    await _one(session, caller.seller_id, invoice_id)
    chosen = timeline.of_invoice(caller.seller_id, invoice_id)
    rows, next_cursor = await paginate(session, chosen, page, timeline_entry.c.time, timeline_entry.c.event_id)
    return Timeline(data=[CloudEvent(**Entry(**row._mapping).body()) for row in rows], next_cursor=next_cursor)


async def _one(session: SessionDep, seller_id: UUID, invoice_id: UUID) -> Invoice:
    one = await invoices.find(session, seller_id, invoice_id)
    if one is None:
        raise not_found("invoice", invoice_id)
    return one
