"""The first seller and its development key, made once on an empty database."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select

from invoice_svc import sellers
from invoice_svc.inputs import SellerIn
from remit_events.state import ApiKeyState, SellerState
from remit_service.auth import key_hash, new_key
from remit_service.bulk import execute, new_id
from remit_service.clock import Clock
from remit_service.database import Database
from remit_service.tables import seller as table

_LOCK = "SELECT pg_advisory_xact_lock(hashtext('invoice-svc.bootstrap'))"


async def ensure_seller(
    db: Database, clock: Clock, *, name: str, key: str | None = None, **described: Any
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
        made = ApiKeyState(id=new_id(), name="development", sha256=digest, scopes=("*",))
        state = SellerState(id=new_id(), keys=(made,), version=1, **given.model_dump())
        await sellers.create(session, state, clock.now())
    return state.id, secret
