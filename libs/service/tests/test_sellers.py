"""Sellers and keys as every service keeps them: the newest wins, in whatever order events come."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from uuid import UUID

import pytest
from remit_testing.service import rollback
from sqlalchemy import func, select
from uuid6 import uuid7

from remit_events.bus import Received
from remit_events.envelope import Message
from remit_events.invoices import CustomerChanged, SellerChanged
from remit_events.state import ApiKeyState, CustomerState, SellerState
from remit_service.problems import Problem
from remit_service.sellers import apply_seller_events, find_seller, get_seller, save_seller
from remit_service.tables import api_key, seller


def received(event: SellerChanged | CustomerChanged) -> Received:
    message = Message(uuid7(), "/t", event.type, datetime(2026, 1, 1, tzinfo=UTC), "s", "k", 1, b"")
    return Received(message, event, event.topic, 0, 0)


def changed(seller_id: UUID, version: int, *keys: ApiKeyState) -> Received:
    state = SellerState(id=seller_id, name=f"v{version}", version=version, keys=keys)
    return received(SellerChanged(seller_id=seller_id, seller=state))


def key(name: str, revoked: bool = False) -> ApiKeyState:
    return ApiKeyState(id=uuid7(), name=name, sha256=uuid7().hex, scopes=("a:read", "b:write"), revoked=revoked)


@pytest.fixture
async def session(sample):
    async with rollback(sample.db)() as opened:
        yield opened


async def keys_of(session, seller_id: UUID) -> list[tuple[str, bool]]:
    rows = await session.execute(select(api_key).where(api_key.c.seller_id == seller_id).order_by(api_key.c.name))
    return [(row.name, row.revoked) for row in rows]


async def test_the_newest_state_is_kept_whatever_the_order(session):
    one, other = uuid7(), uuid7()
    events = [changed(one, n, key("k", revoked=n == 9)) for n in range(1, 10)] + [changed(other, 1)]
    for seed in range(5):
        shuffled = random.Random(seed).sample(events, len(events))  # noqa: S311
        for start in range(0, len(shuffled), 3):
            await apply_seller_events(session, shuffled[start : start + 3])
        assert (await get_seller(session, one)).version == 9
        assert await keys_of(session, one) == [("k", True)]
        assert (await get_seller(session, other)).name == "v1"


async def test_a_batch_of_other_events_does_nothing(session):
    before = await session.scalar(select(func.count()).select_from(seller))
    customer = CustomerState(id=uuid7(), external_id="c", name="C", country="DE", version=1)
    await apply_seller_events(
        session, [received(CustomerChanged(seller_id=uuid7(), customer_id=customer.id, customer=customer))]
    )
    await apply_seller_events(session, [])
    assert await session.scalar(select(func.count()).select_from(seller)) == before


async def test_keys_are_replaced_as_a_whole(session):
    mine = uuid7()
    await apply_seller_events(session, [changed(mine, 1, key("a"), key("b"))])
    await apply_seller_events(session, [changed(mine, 2, key("b"), key("c"))])
    assert [name for name, _ in await keys_of(session, mine)] == ["b", "c"]


async def test_an_older_state_says_so(session):
    state = SellerState(id=uuid7(), name="x", version=2)
    assert await save_seller(session, state)
    assert not await save_seller(session, state)
    assert not await save_seller(session, state.model_copy(update={"version": 1}))


async def test_a_seller_there_is_not(session):
    assert await find_seller(session, uuid7()) is None
    with pytest.raises(Problem) as caught:
        await get_seller(session, uuid7())
    assert caught.value.status == 404
