"""The first seller and its first API key, made once on an empty database."""

from __future__ import annotations

from argparse import Namespace
from typing import Any
from uuid import UUID

from sqlalchemy import select

from invoice_svc import sellers
from invoice_svc.inputs import SellerIn
from invoice_svc.settings import Settings
from remit_events.state import ApiKeyState, SellerState
from remit_service.auth import key_hash, new_key
from remit_service.bulk import execute, new_id
from remit_service.clock import Clock, WallClock
from remit_service.database import Database
from remit_service.one_shot import Command, Lines, Refused
from remit_service.tables import api_key
from remit_service.tables import seller as table

_LOCK = "SELECT pg_advisory_xact_lock(hashtext('invoice-svc.bootstrap'))"


async def ensure_seller(
    db: Database, clock: Clock, *, name: str, key: str | None = None, key_name: str = "development", **described: Any
) -> tuple[UUID, str | None]:
    """The id of the first seller and, when it was made just now, its API key with every scope; else None.

    `described` are fields of SellerIn. `key` is used instead of a random one, for a key that must be known before.
    Raises pydantic.ValidationError for a seller that cannot be.
    """
    given = SellerIn(name=name, **described)
    secret, digest = (key, key_hash(key)) if key else new_key()
    async with db.transaction() as session:
        await execute(session, _LOCK)
        there: UUID | None = await session.scalar(select(table.c.id).order_by(table.c.id).limit(1))
        if there is not None:
            return there, None
        made = ApiKeyState(id=new_id(), name=key_name, sha256=digest, scopes=("*",))
        state = SellerState(id=new_id(), keys=(made,), version=1, **given.model_dump())
        await sellers.create(session, state, clock.now())
    return state.id, secret


async def bootstrap(db: Database, settings: Settings, _: Namespace) -> Lines:
    """What `python -m invoice_svc bootstrap` does; raises Refused when the settings name no seller."""
    if settings.seller_name is None:
        raise Refused("SELLER_NAME: is not set; set this environment variable to the name on your invoices")
    key = settings.bootstrap_key.get_secret_value() if settings.bootstrap_key else None
    described = {"country": settings.seller_country, "language": settings.seller_language}
    seller_id, made = await ensure_seller(
        db, WallClock(), name=settings.seller_name, key=key, key_name="bootstrap", **described
    )
    if made is None:
        return await _as_it_was(db, seller_id, key)
    said = "its API key is that of BOOTSTRAP_KEY" if key else f"its API key, shown only now: {made}"
    return [f"The seller {settings.seller_name} was made ({seller_id}); {said}."]


async def _as_it_was(db: Database, seller_id: UUID, key: str | None) -> Lines:
    """Says so when the key at hand opens nothing, as after it was revoked: no start of a release fails for it."""
    said = [f"There is a seller already ({seller_id}): nothing was changed."]
    if key is not None:
        query = select(api_key.c.revoked).where(api_key.c.sha256 == key_hash(key))
        async with db.reading() as session:
            if await session.scalar(query) is not False:
                said.append("BOOTSTRAP_KEY is no valid key of it; keys are made with POST /v1/api-keys.")
    return said


COMMAND = Command("bootstrap", "make the first seller and its API key, unless there is one, and end", bootstrap)
