"""Sellers and their API keys, as every service keeps them: the newest snapshot of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from remit_events.invoices import SellerChanged
from remit_events.session import Session
from remit_events.state import SellerState
from remit_service.problems import not_found
from remit_service.tables import api_key, seller

if TYPE_CHECKING:
    from remit_events.bus import Received


async def apply_seller_events(session: Session, received: Sequence[Received]) -> None:
    """Folds the SellerChanged among `received`; anything else in the batch is left to others."""
    newest: dict[UUID, SellerState] = {}
    for one in received:
        if isinstance(one.event, SellerChanged):
            state = one.event.seller
            if state.id not in newest or newest[state.id].version < state.version:
                newest[state.id] = state
    for state in sorted(newest.values(), key=lambda s: s.id):
        await save_seller(session, state)


async def save_seller(session: Session, state: SellerState) -> bool:
    """Keeps `state` with its keys unless a newer one is there; False when it was not newer."""
    new = insert(seller).values(id=state.id, snapshot=state.model_dump(mode="json"), version=state.version)
    upsert = new.on_conflict_do_update(
        index_elements=[seller.c.id],
        set_={"snapshot": new.excluded.snapshot, "version": new.excluded.version},
        where=seller.c.version < new.excluded.version,
    ).returning(seller.c.id)
    if await session.scalar(upsert) is None:
        return False
    await session.execute(delete(api_key).where(api_key.c.seller_id == state.id))
    if state.keys:
        keys = [key.model_dump() | {"seller_id": state.id, "scopes": list(key.scopes)} for key in state.keys]
        await session.execute(insert(api_key).values(keys))
    return True


async def find_seller(session: Session, seller_id: UUID) -> SellerState | None:
    snapshot = await session.scalar(select(seller.c.snapshot).where(seller.c.id == seller_id))
    return None if snapshot is None else SellerState.model_validate(snapshot)


async def get_seller(session: Session, seller_id: UUID) -> SellerState:
    """Raises a 404 problem when there is none."""
    found = await find_seller(session, seller_id)
    if found is None:
        raise not_found("seller", seller_id)
    return found
