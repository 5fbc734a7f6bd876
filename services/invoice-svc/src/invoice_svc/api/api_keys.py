"""`/v1/api-keys`: who may do what; a key is shown once, when it is made."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response

from invoice_svc import api_keys
from invoice_svc.api.views import ApiKeyOut, NewApiKeyOut, shown
from invoice_svc.api.wiring import KeyReader, KeyWriter
from invoice_svc.examples import KEY_ID
from invoice_svc.inputs import ApiKeyIn
from remit_service.api import Listing, Now, Router, SessionDep, problem_responses
from remit_service.sellers import get_seller

router = Router(prefix="/v1/api-keys", tags=["api-keys"])


class ApiKeys(Listing[ApiKeyOut]):
    model_config = shown(
        data=[{"id": KEY_ID, "name": "bookkeeping", "scopes": ["invoices:read"], "revoked": False}], next_cursor=None
    )


@router.get("", summary="List the API keys", responses=problem_responses(401, 403))
async def listing(session: SessionDep, caller: KeyReader) -> ApiKeys:
    """All keys of the seller, revoked ones too; there are at most 200."""
    seller = await get_seller(session, caller.seller_id)
    return ApiKeys(data=[ApiKeyOut.of(key) for key in seller.keys])


@router.post("", summary="Make an API key", status_code=201, responses=problem_responses(400, 401, 403, 409, 415, 422))
async def create(body: ApiKeyIn, session: SessionDep, caller: KeyWriter, now: Now) -> NewApiKeyOut:
    """The key stands in this answer and nowhere else: only its SHA-256 is kept."""
    made, secret = await api_keys.create(session, caller, body.name, body.scopes, now)
    return NewApiKeyOut(**ApiKeyOut.of(made).model_dump(), key=secret)


@router.delete(
    "/{key_id}", summary="Revoke an API key", status_code=204, responses=problem_responses(401, 403, 404, 409)
)
async def revoke(key_id: UUID, session: SessionDep, caller: KeyWriter, now: Now) -> Response:
    """Revoked at once here, and within moments at the other services."""
    await api_keys.revoke(session, caller, key_id, now)
    return Response(status_code=204)
