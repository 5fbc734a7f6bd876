"""API keys: made once, shown once, kept as SHA-256, and spread to all four services with the seller."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from invoice_svc import sellers
from remit_events.session import Session
from remit_events.state import ApiKeyState
from remit_service.auth import Caller, new_key
from remit_service.bulk import new_id
from remit_service.problems import Problem, conflict, invalid, not_found

AREAS = (
    "sellers",
    "keys",
    "customers",
    "invoices",
    "payments",
    "events",
    "schedule",
    "deliveries",
    "escalations",
    "automation",
)
SCOPES = ("*", *(f"{area}:{right}" for area in AREAS for right in ("read", "write")))
# Every SellerChanged carries all keys, so their number is bounded; revoked ones beyond it are forgotten.
MOST_KEYS = 200


async def create(
    session: Session, caller: Caller, name: str, scopes: Sequence[str], now: datetime
) -> tuple[ApiKeyState, str]:
    """A new key of the caller's seller and its secret, which is nowhere else.

    Raises 403 for a scope the caller does not have, 422 for one there is not, 409 when there are too many.
    """
    check_scopes(caller, scopes)
    seller = await sellers.lock(session, caller.seller_id)
    valid = [key for key in seller.keys if not key.revoked]
    if len(valid) >= MOST_KEYS:
        raise conflict("too-many-keys", f"A seller has at most {MOST_KEYS} keys: revoke one that is not used.")
    secret, digest = new_key()
    made = ApiKeyState(id=new_id(), name=name, sha256=digest, scopes=tuple(sorted(set(scopes))))
    kept = seller.keys if len(seller.keys) < MOST_KEYS else tuple(valid)
    await sellers.change(session, seller, seller.model_copy(update={"keys": (*kept, made)}), now)
    return made, secret


def check_scopes(caller: Caller, scopes: Sequence[str]) -> None:
    """Nobody gives away more than they have."""
    for index, scope in enumerate(scopes):
        if scope not in SCOPES:
            detail = f"There is no such scope. Use one of: {', '.join(SCOPES)}."
            raise invalid(f"/scopes/{index}", "unknown_scope", detail, scope)
        if "*" not in caller.scopes and scope not in caller.scopes:
            detail = f"Your key lacks `{scope}` itself and cannot give it away; use a key that has it."
            raise Problem("missing-scope", 403, "Forbidden", detail, extra={"scope": scope})


async def revoke(session: Session, caller: Caller, key_id: UUID, now: datetime) -> None:
    """Closes a key at once here, and elsewhere as soon as the event is there; a second time changes nothing."""
    seller = await sellers.lock(session, caller.seller_id)
    if all(key.id != key_id for key in seller.keys):
        raise not_found("API key", key_id)
    if key_id == caller.key_id:
        detail = "This is the key you are calling with. Revoke it with another key, so that you are not locked out."
        raise conflict("key-in-use", detail)
    keys = tuple(key.model_copy(update={"revoked": True}) if key.id == key_id else key for key in seller.keys)
    await sellers.change(session, seller, seller.model_copy(update={"keys": keys}), now)
