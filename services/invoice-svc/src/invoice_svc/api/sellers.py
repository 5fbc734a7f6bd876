"""`/v1/sellers/{id}`: who the money is owed to; `me` is the seller of the key."""

from __future__ import annotations

from uuid import UUID

from fastapi import Request, Response

from invoice_svc import sellers
from invoice_svc.api.views import SellerOut
from invoice_svc.api.wiring import SellerReader, SellerWriter
from invoice_svc.inputs import SellerIn
from remit_service.api import Caller, Now, Router, SessionDep, check_if_match, etag, problem_responses
from remit_service.bulk import as_uuid
from remit_service.problems import not_found
from remit_service.sellers import get_seller

router = Router(prefix="/v1/sellers", tags=["sellers"])


@router.get("/{seller_id}", summary="Show the seller", responses=problem_responses(401, 403, 404))
async def get(seller_id: str, session: SessionDep, caller: SellerReader, response: Response) -> SellerOut:
    state = await get_seller(session, _named(seller_id, caller))
    response.headers["ETag"] = etag(state.version)
    return SellerOut.of(state)


@router.put(
    "/{seller_id}",
    summary="Replace the seller's details",
    responses=problem_responses(400, 401, 403, 404, 412, 415, 422, 428),
)
async def put(
    seller_id: str,
    body: SellerIn,
    request: Request,
    response: Response,
    session: SessionDep,
    caller: SellerWriter,
    now: Now,
) -> SellerOut:
    """Replaces all of it; send the ETag you read as If-Match."""
    named = _named(seller_id, caller)
    state = await sellers.update(session, named, body, now, lambda old: check_if_match(request, old.version))
    response.headers["ETag"] = etag(state.version)
    return SellerOut.of(state)


def _named(seller_id: str, caller: Caller) -> UUID:
    """Only the caller's own seller, unless another service reads."""
    if seller_id == "me":
        return caller.seller_id
    named = as_uuid(seller_id)
    if named is None or (named != caller.seller_id and not caller.internal):
        raise not_found("seller", seller_id)
    return named
