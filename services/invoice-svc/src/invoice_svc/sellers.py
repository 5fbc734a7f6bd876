"""Sellers: who the money is owed to. The snapshot that SellerChanged carries is the whole truth about one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from invoice_svc.inputs import SellerIn
from remit_events.invoices import SellerChanged
from remit_events.outbox import emit
from remit_events.session import Session
from remit_events.state import SellerState
from remit_service.problems import not_found
from remit_service.sellers import save_seller
from remit_service.tables import seller as table


async def create(session: Session, state: SellerState, now: datetime) -> None:
    """Stores a new seller with its keys and says so to everyone."""
    await _save(session, state, now)


async def update(
    session: Session, seller_id: UUID, given: SellerIn, now: datetime, check: Callable[[SellerState], None]
) -> SellerState:
    """Replaces what describes the seller; keys stay. `check` sees the locked state and may refuse the change."""
    old = await lock(session, seller_id)
    check(old)
    new = old.model_copy(update={name: getattr(given, name) for name in SellerIn.model_fields})
    return await change(session, old, new, now)


async def change(session: Session, old: SellerState, new: SellerState, now: datetime) -> SellerState:
    """Stores and publishes `new` under the next version, unless nothing differs from `old`."""
    if new == old:
        return old
    new = new.model_copy(update={"version": old.version + 1})
    await _save(session, new, now)
    return new


async def lock(session: Session, seller_id: UUID) -> SellerState:
    """The seller, locked against other changes; raises a 404 problem."""
    snapshot: Any = await session.scalar(select(table.c.snapshot).where(table.c.id == seller_id).with_for_update())
    if snapshot is None:
        raise not_found("seller", seller_id)
    return SellerState.model_validate(snapshot)


async def _save(session: Session, state: SellerState, now: datetime) -> None:
    await save_seller(session, state)
    await emit(session, [SellerChanged(seller_id=state.id, seller=state)], now=now)
