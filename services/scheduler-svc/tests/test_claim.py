"""What comes in while the sweep is claiming: it is decided about, for the customer has been looked at then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from remit_testing.scheduler_world import World
from sqlalchemy import text

from scheduler_svc.ledger import Ledger
from scheduler_svc.loading import claim, load
from scheduler_svc.policies import PolicyCache

GATE = 4242
# Reading a customer waits at the gate: the statement has its snapshot by then, and not yet its locks.
_SLOW = (
    "CREATE SCHEMA slow",
    f"""CREATE FUNCTION slow.gate() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
    BEGIN PERFORM pg_advisory_xact_lock_shared({GATE}); RETURN true; END $$""",
    "CREATE VIEW slow.customer AS SELECT * FROM public.customer WHERE slow.gate()",
)
_WAITING = text(f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {GATE} AND NOT granted")  # noqa: S608


@pytest.fixture
async def slow(world: World) -> AsyncIterator[None]:
    async with world.service.db.transaction() as session:
        for statement in _SLOW:
            await session.execute(text(statement))
    yield
    async with world.service.db.transaction() as session:
        await session.execute(text("DROP SCHEMA slow CASCADE"))


async def claimed(world: World, *, slowly: bool = False) -> Ledger:
    """The only customer, as the sweep sees it."""
    async with world.service.db.transaction() as session:
        if slowly:
            await session.execute(text("SET LOCAL search_path = slow, public"))
        rows = await claim(session, world.clock.now(), limit=10)
        batch = await load(session, rows, PolicyCache(), world.clock.now(), lock=True)
        return batch.ledger(batch.rows[0])


@asynccontextmanager
async def at_the_gate(world: World) -> AsyncIterator[asyncio.Task[Ledger]]:
    """A claim that has its snapshot and waits; when the block ends it goes on."""
    async with world.service.db.transaction() as keeper:
        await keeper.execute(text(f"SELECT pg_advisory_xact_lock({GATE})"))
        claiming = asyncio.create_task(claimed(world, slowly=True))
        while not await keeper.scalar(_WAITING):  # noqa: ASYNC110  nobody announces it
            await asyncio.sleep(0.01)
        yield claiming


async def _switch(world: World, *, on: bool) -> None:
    answer = await world.client.put("/v1/automation", json={"on": on})
    assert answer.status_code == 200


async def test_a_demand_is_seen(world: World, slow: None) -> None:
    _, invoice = await world.followed()
    world.at("2026-01-26 09:00")
    async with at_the_gate(world) as claiming:
        await world.tell(world.rung(invoice))
    assert [demand.rung for demand in (await claiming).demands] == ["formal-demand"]


async def test_a_failed_touch_is_seen(world: World, slow: None) -> None:
    customer, _ = await world.followed()
    due = await world.go("2026-01-26 09:00")
    await world.customer_changes(customer, name="Other")
    async with at_the_gate(world) as claiming:
        await world.tell(world.failed(due))
    assert [touch.id for touch in (await claiming).failed] == [due.touch_id]


async def test_the_kill_switch_is_seen(world: World, slow: None) -> None:
    await world.followed()
    await _switch(world, on=False)
    world.at("2026-01-26 09:00")
    async with at_the_gate(world) as claiming:
        await _switch(world, on=True)
    assert (await claiming).automation_on
