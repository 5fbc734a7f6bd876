"""`/v1/customers`: who owes, one by one and in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import AwareDatetime, TypeAdapter
from sqlalchemy import select

from invoice_svc import customers, holds
from invoice_svc.api import batches
from invoice_svc.api.batches import BatchIn, BatchOut, items_of
from invoice_svc.api.views import Credit, CustomerOut, shown
from invoice_svc.api.wiring import Atomic, CustomerReader, CustomerWriter, WiringDep
from invoice_svc.customers import Customer
from invoice_svc.examples import AT, CUSTOMER_IN, CUSTOMER_STATE
from invoice_svc.inputs import CustomerIn, CustomerPut, HoldIn, ReasonIn
from invoice_svc.saving import Saved, save
from invoice_svc.tables import customer as table
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
from remit_service.bulk import fetch
from remit_service.problems import Problem, invalid, not_found

router = Router(prefix="/v1/customers", tags=["customers"])

_ALL = TypeAdapter(list[CustomerIn])
_CREDIT = """
SELECT currency, sum(credit_minor)::bigint AS amount FROM payment
WHERE customer_id = :id AND status = 'received' AND credit_minor > 0 GROUP BY currency ORDER BY currency
"""


class CustomerBatch(BatchIn):
    model_config = shown(customers=[CUSTOMER_IN])
    customers: items_of("CustomerIn")  # type: ignore[valid-type]  # made for each schema


class Customers(Listing[CustomerOut]):
    model_config = shown(
        data=[CUSTOMER_STATE | {"created_at": AT, "updated_at": AT, "notes": [], "credit": []}], next_cursor=None
    )


@router.get("", summary="List customers", responses=problem_responses(401, 403, 422))
async def listing(
    session: SessionDep,
    caller: CustomerReader,
    page: PageDep,
    updated_since: Annotated[AwareDatetime | None, Query()] = None,
    external_id: Annotated[str | None, Query(max_length=100)] = None,
) -> Customers:
    """Customers in the order they were made."""
    chosen = select(table).where(table.c.seller_id == caller.seller_id)
    if updated_since is not None:
        chosen = chosen.where(table.c.updated_at >= updated_since)
    if external_id is not None:
        chosen = chosen.where(table.c.external_id == external_id)
    rows, next_cursor = await paginate(session, chosen, page, table.c.id)
    return Customers(data=[CustomerOut.of(Customer(**row._mapping)) for row in rows], next_cursor=next_cursor)


@router.post(
    "", summary="Make a customer", status_code=201, responses=problem_responses(400, 401, 403, 409, 413, 415, 422)
)
async def create(
    body: CustomerIn, session: SessionDep, caller: CustomerWriter, now: Now, response: Response
) -> CustomerOut:
    """`notes` in the answer: a zone filled in, holidays unknown, possible duplicates (never merged)."""
    return _answer(await save(session, caller.seller_id, [body], now, upsert=False), response)


@router.post(
    "/batch",
    summary="Make many customers at once",
    response_model=BatchOut,
    responses=problem_responses(400, 401, 403, 413, 415, 422),
)
async def create_batch(
    body: CustomerBatch,
    session: SessionDep,
    caller: CustomerWriter,
    now: Now,
    atomic: Atomic = False,
    upsert: Annotated[bool, Query(description="Replace customers whose external id is known.")] = False,
) -> Response:
    """Up to 1,000 customers; the answer has a result for each, in order."""

    async def act(given: Sequence[CustomerIn]) -> Sequence[Saved | Problem]:
        return await save(session, caller.seller_id, given, now, upsert=upsert)

    return await batches.run(_ALL, body.customers, act, _result, atomic=atomic)


def _result(one: Saved) -> dict[str, Any]:
    return {"status": 201 if one.created else 200, "id": one.customer.id, "notes": one.notes}


@router.get(
    "/by-external-id/{external_id:path}",
    summary="Show a customer by your own id",
    responses=problem_responses(401, 403, 404),
)
async def get_external(
    external_id: str, session: SessionDep, caller: CustomerReader, response: Response
) -> CustomerOut:
    return await _one(session, caller.seller_id, external_id, response)


@router.put(
    "/by-external-id/{external_id:path}",
    summary="Make or replace a customer by your own id",
    responses=problem_responses(400, 401, 403, 409, 412, 413, 415, 422)
    | {201: {"model": CustomerOut, "description": "Made"}},
)
async def put_external(
    external_id: str,
    body: CustomerPut,
    request: Request,
    response: Response,
    session: SessionDep,
    caller: CustomerWriter,
    now: Now,
) -> CustomerOut:
    """Makes the customer (201) or replaces all of it (200); If-Match is optional here."""
    if body.external_id not in (None, external_id):
        raise invalid("/external_id", "external_id", "It differs from the path; leave it out here.", body.external_id)
    known = await customers.lock_external(session, caller.seller_id, [external_id])
    check_if_match(request, known[external_id].version if known else "none", required=False)
    given = CustomerIn.model_validate(body.model_dump() | {"external_id": external_id})
    return _answer(await save(session, caller.seller_id, [given], now, upsert=True), response)


@router.get("/{customer_id}", summary="Show a customer", responses=problem_responses(401, 403, 404))
async def get(customer_id: UUID, session: SessionDep, caller: CustomerReader, response: Response) -> CustomerOut:
    return await _one(session, caller.seller_id, customer_id, response)


@router.put(
    "/{customer_id}",
    summary="Replace a customer",
    responses=problem_responses(400, 401, 403, 404, 412, 413, 415, 422, 428),
)
async def put(
    customer_id: UUID,
    body: CustomerPut,
    request: Request,
    response: Response,
    session: SessionDep,
    caller: CustomerWriter,
    now: Now,
) -> CustomerOut:
    """Replaces all of it; send the ETag you read as If-Match."""
    known = await holds.lock_customer(session, caller.seller_id, customer_id)
    check_if_match(request, known.version)
    if body.external_id not in (None, known.external_id):
        detail = "An external id stays: leave it out, or make another customer."
        raise invalid("/external_id", "external_id", detail, body.external_id)
    given = CustomerIn.model_validate(body.model_dump() | {"external_id": known.external_id})
    return _answer(await save(session, caller.seller_id, [given], now, upsert=True), response)


@router.post(
    "/{customer_id}/hold", summary="Put a customer on hold", responses=problem_responses(400, 401, 403, 404, 415, 422)
)
async def hold(
    customer_id: UUID,
    body: HoldIn,
    session: SessionDep,
    caller: CustomerWriter,
    now: Now,
    wiring: WiringDep,
    response: Response,
) -> CustomerOut:
    """No follow-up of any invoice of theirs, through `until` at their place; a hold that stands is replaced."""
    one, ends = await holds.hold_customer(session, caller.seller_id, customer_id, body.reason, body.until, now)
    wiring.holds.note(ends)
    response.headers["ETag"] = etag(one.version)
    return CustomerOut.of(one)


@router.post(
    "/{customer_id}/release",
    summary="Release a customer from hold",
    responses=problem_responses(400, 401, 403, 404, 409, 415, 422),
)
async def release(
    customer_id: UUID, body: ReasonIn, session: SessionDep, caller: CustomerWriter, now: Now, response: Response
) -> CustomerOut:
    one = await holds.release_customer(session, caller.seller_id, customer_id, body.reason, now)
    response.headers["ETag"] = etag(one.version)
    return CustomerOut.of(one)


async def _one(session: SessionDep, seller_id: UUID, key: UUID | str, response: Response) -> CustomerOut:
    one = await customers.find(session, seller_id, key)
    if one is None:
        raise not_found("customer", key)
    credit = [
        Credit(currency=row.currency, amount_minor=row.amount) for row in await fetch(session, _CREDIT, id=one.id)
    ]
    response.headers["ETag"] = etag(one.version)
    return CustomerOut.of(one, credit=credit)


def _answer(outcomes: Sequence[Saved | Problem], response: Response) -> CustomerOut:
    [saved] = outcomes
    if isinstance(saved, Problem):
        raise saved
    response.status_code = 201 if saved.created else 200
    response.headers["ETag"] = etag(saved.customer.version)
    response.headers["Location"] = f"/v1/customers/{saved.customer.id}"
    return CustomerOut.of(saved.customer, saved.notes)
