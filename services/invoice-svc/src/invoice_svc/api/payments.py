"""`/v1/payments`: money that came in, recorded once per provider and reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Response
from pydantic import AwareDatetime, TypeAdapter
from sqlalchemy import select

from invoice_svc import crediting, payments, receiving
from invoice_svc.api import batches
from invoice_svc.api.batches import BatchIn, BatchOut, items_of
from invoice_svc.api.followup import InvoicePayments
from invoice_svc.api.views import PaymentOut, shown
from invoice_svc.api.wiring import Atomic, PaymentReader, PaymentWriter, WiringDep
from invoice_svc.examples import PAYMENT_IN
from invoice_svc.inputs import AllocateIn, PaymentIn, ReverseIn
from invoice_svc.payments import Payment
from invoice_svc.receiving import Recorded
from invoice_svc.tables import payment as table
from remit_service.api import Now, PageDep, Router, SessionDep, paginate, problem_responses
from remit_service.problems import Problem

router = Router(prefix="/v1/payments", tags=["payments"])

_ALL = TypeAdapter(list[PaymentIn])


class PaymentBatch(BatchIn):
    model_config = shown(payments=[PAYMENT_IN])
    payments: items_of("PaymentIn")  # type: ignore[valid-type]  # made for each schema


@router.get("", summary="List payments", responses=problem_responses(401, 403, 422))
async def listing(
    session: SessionDep,
    caller: PaymentReader,
    page: PageDep,
    customer: Annotated[UUID | None, Query()] = None,
    reference: Annotated[str | None, Query(max_length=200)] = None,
    external_id: Annotated[str | None, Query(max_length=100)] = None,
    updated_since: Annotated[AwareDatetime | None, Query()] = None,
) -> InvoicePayments:
    """Payments in the order they were recorded."""
    chosen = select(table).where(table.c.seller_id == caller.seller_id)
    equal = ((table.c.customer_id, customer), (table.c.reference, reference), (table.c.external_id, external_id))
    for column, value in equal:
        if value is not None:
            chosen = chosen.where(column == value)
    if updated_since is not None:
        chosen = chosen.where(table.c.updated_at >= updated_since)
    rows, next_cursor = await paginate(session, chosen, page, table.c.id)
    found = {row.id: Payment(**row._mapping) for row in rows}
    await payments.attach_parts(session, found)
    return InvoicePayments(data=[PaymentOut.of(one) for one in found.values()], next_cursor=next_cursor)


@router.post(
    "", summary="Record a payment", status_code=201, responses=problem_responses(400, 401, 403, 404, 409, 413, 415, 422)
)
async def create(
    body: PaymentIn, session: SessionDep, caller: PaymentWriter, now: Now, response: Response
) -> PaymentOut:
    """The same payment again, by provider and reference, gives the first answer, for ever, with
    `Idempotency-Replayed: true`; another one under that reference is refused."""
    [outcome] = await receiving.record(session, caller.seller_id, [body], now)
    if isinstance(outcome, Problem):
        raise outcome
    response.headers["Location"] = f"/v1/payments/{outcome.payment.id}"
    if outcome.again:
        response.headers["Idempotency-Replayed"] = "true"
    return PaymentOut.first_answer(outcome.payment)


@router.post(
    "/batch",
    summary="Record many payments at once",
    response_model=BatchOut,
    responses=problem_responses(400, 401, 403, 409, 413, 415, 422),
)
async def create_batch(
    body: PaymentBatch, session: SessionDep, caller: PaymentWriter, now: Now, atomic: Atomic = False
) -> Response:
    """Up to 1,000 payments, in their order; a result for each says `duplicate` where it was recorded before."""

    async def act(given: Sequence[PaymentIn]) -> Sequence[Recorded | Problem]:
        return await receiving.record(session, caller.seller_id, given, now)

    return await batches.run(_ALL, body.payments, act, _result, atomic=atomic)


def _result(one: Recorded) -> dict[str, Any]:
    return {"status": 201, "id": one.payment.id} | ({"duplicate": True} if one.again else {})


@router.get("/{payment_id}", summary="Show a payment", responses=problem_responses(401, 403, 404))
async def get(payment_id: UUID, session: SessionDep, caller: PaymentReader) -> PaymentOut:
    return PaymentOut.of(await payments.find(session, caller.seller_id, payment_id))


@router.post(
    "/{payment_id}/allocations",
    summary="Put a payment's credit to invoices",
    responses=problem_responses(400, 401, 403, 404, 409, 415, 422),
)
async def allocate(
    payment_id: UUID, body: AllocateIn, session: SessionDep, caller: PaymentWriter, now: Now
) -> PaymentOut:
    """What a payment left on account is put to invoices of its customer and currency; they are paid by it from today
    on. Taken back, the payment takes this back too."""
    return PaymentOut.of(await crediting.allocate(session, caller.seller_id, payment_id, body, now))


@router.post(
    "/{payment_id}/reverse",
    summary="Take a payment back",
    responses=problem_responses(400, 401, 403, 404, 409, 415, 422),
)
async def reverse(
    payment_id: UUID, body: ReverseIn, session: SessionDep, caller: PaymentWriter, now: Now, wiring: WiringDep
) -> PaymentOut:
    """A charge-back or bounced debit: what it paid is owed again. A promise it had kept runs again, or is broken
    where its grace has ended."""
    one, ends = await payments.reverse(session, caller.seller_id, payment_id, body.reason, body.reversed_on, now)
    wiring.promises.note(ends)
    return PaymentOut.of(one)
