"""Who calls: a seller's API key with scopes, or another service with the shared key."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from hmac import compare_digest
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy import text

from remit_events.session import Session
from remit_service.problems import Problem
from remit_service.shared import shared

KEY_PREFIX = "rk_"
INTERNAL = "internal"
SELLER_HEADER = "Remit-Seller"
NOBODY = UUID(int=0)

_LOOK_UP = text("SELECT id, seller_id, name, scopes, revoked FROM api_key WHERE sha256 = :given")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose data a request may touch, and what it may do there.

    A service calling with the shared key has scope `internal`; it acts for the seller its `Remit-Seller` header
    names, else `seller_id` is nil and only routes open to `internal` take it.
    """

    seller_id: UUID
    key_id: UUID
    scopes: frozenset[str]
    name: str

    @property
    def internal(self) -> bool:
        return INTERNAL in self.scopes

    def allows(self, scope: str) -> bool:
        return scope in self.scopes or ("*" in self.scopes and scope != INTERNAL)


def new_key() -> tuple[str, str]:
    """A fresh API key of 256 random bits and its SHA-256 in hex; only the latter is ever stored."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    return key, key_hash(key)


def key_hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


async def authenticate(request: Request) -> Caller:
    """The caller of this request, looked up once; raises a 401 problem."""
    known: Caller | None = getattr(request.state, "caller", None)
    if known is None:
        known = await _authenticate(request)
        request.state.caller = known
    return known


async def _authenticate(request: Request) -> Caller:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise _unauthenticated("Send your API key as `Authorization: Bearer rk_…`; `remit key create` makes one.")
    given, expected = token.encode(), shared(request).settings.service_key.get_secret_value().encode()
    if compare_digest(given, expected):
        return _service_caller(request)
    # A bearer that is no key of ours would be read as an OIDC JWT here, once issuers can be configured.
    session: Session = request.state.session
    rows = await session.fetch(_LOOK_UP, {"given": key_hash(token)})
    if not rows or rows[0]["revoked"]:
        raise _unauthenticated("This API key is unknown or revoked; `remit key list` shows yours, `create` makes one.")
    [found] = rows
    return Caller(found["seller_id"], found["id"], frozenset(found["scopes"]), found["name"])


def _service_caller(request: Request) -> Caller:
    named = request.headers.get(SELLER_HEADER)
    try:
        seller = UUID(named) if named else NOBODY
    except ValueError:
        raise Problem("invalid-request", 422, "Invalid request", f"{SELLER_HEADER} must be a seller's UUID.") from None
    return Caller(seller, NOBODY, frozenset({INTERNAL, "*"} if named else {INTERNAL}), "service")


def _unauthenticated(detail: str) -> Problem:
    headers = {"WWW-Authenticate": 'Bearer realm="remit"'}
    return Problem("unauthenticated", 401, "Not authenticated", detail, headers=headers)


def require(scope: str, *, or_internal: bool = False) -> Any:
    """A dependency giving the Caller, or 401, or 403 when its key lacks `scope`.

    With `or_internal` another service may call without naming a seller; the route must then look at
    `caller.internal` itself before it filters by seller.
    """

    async def permitted(request: Request) -> Caller:
        caller = await authenticate(request)
        if caller.allows(scope) or (or_internal and caller.internal):
            return caller
        raise missing_scope(scope, caller)

    # The route reads this mark to check the scope before it replays an answer.
    permitted.scope = (scope, INTERNAL) if or_internal else (scope,)  # type: ignore[attr-defined]
    return Depends(permitted)


def missing_scope(scope: str, caller: Caller) -> Problem:
    if caller.internal:
        return Problem("missing-scope", 403, "Forbidden", f"A service must name the seller in {SELLER_HEADER} here.")
    way_out = f"Use a key with scope `{scope}` (`remit key create --scope {scope}`)."
    return Problem(
        "missing-scope", 403, "Forbidden", f"This key lacks the scope `{scope}`. {way_out}", extra={"scope": scope}
    )


require_internal = require(INTERNAL)
InternalDep = Annotated[Caller, require_internal]
