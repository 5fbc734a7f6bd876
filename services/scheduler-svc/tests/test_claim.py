"""The claim: what comes in beside it is decided about, and what it reads is looked up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from remit_testing.scheduler_world import World
from sqlalchemy import text

from remit_service.bulk import fetch, new_id
from scheduler_svc.ledger import Ledger
from scheduler_svc.loading import CLAIMED, CONTACTS, claim, load
from scheduler_svc.policies import PolicyCache
from scheduler_svc.review import review
from scheduler_svc.storing import Outcome

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


_MANY = """
INSERT INTO customer (id, seller_id, external_id, snapshot, version, addresses, suppressed, next_at)
SELECT gen_random_uuid(), :seller, 'c' || n, '{}', 1, ARRAY['email:' || md5(n::text)], '{}', :now
FROM generate_series(1, 5000) AS n
"""
_CONTACTED = """
INSERT INTO contact (id, seller_id, customer_id, on_date, kind, addresses, recorded_at)
SELECT gen_random_uuid(), seller_id, id, '2026-01-01', 'touch', addresses, :now FROM customer
"""


async def test_a_plan_made_while_there_were_no_contacts_looks_into_indexes(world: World) -> None:
    """A vacuumed empty table counts as nothing: a plan may well go through all of that."""
    async with world.service.db.single() as session:
        await session.execute(text("VACUUM ANALYZE contact"))
        values = {"ids": [world.seller.id], "addresses": ["email:0"], "since": world.clock.now().date()}
        plan = "\n".join(row[0] for row in await fetch(session, f"EXPLAIN {CONTACTS}", **values))
    assert "contact_addresses" in plan
    assert "contact_customer" in plan
    assert "contact_pkey" not in plan, plan


async def test_no_look_at_addresses_reads_a_whole_table(world: World) -> None:
    now = world.clock.now()
    async with world.service.db.transaction() as session:
        await session.execute(text(_MANY), {"seller": world.seller.id, "now": now})
        await session.execute(text(_CONTACTED), {"now": now})
        await session.execute(text("ANALYZE customer, contact"))
    asked = [f"email:{n:032x}" for n in range(500)]
    values = {"ids": [world.seller.id] * 500, "addresses": asked, "since": now.date()}
    async with world.service.db.reading() as session:
        for statement in (CLAIMED, CONTACTS):
            plan = "\n".join(row[0] for row in await fetch(session, f"EXPLAIN {statement}", **values))
            assert "_addresses" in plan
            assert "Seq Scan on c" not in plan, plan
    options = "SELECT relname FROM pg_class WHERE relname LIKE '%_addresses' AND reloptions @> '{fastupdate=off}'"
    assert len(await world.rows(options)) == 2


async def test_a_reminder_changes_no_index_of_follow_ups(world: World) -> None:
    """The new row stays on the page of the old one (HOT): what a reminder costs does not grow with what is open."""
    world.at("2026-03-02 08:00")
    await world.issue(await world.customer(), "R1", due="2026-04-01")
    world.at("2026-03-25 10:00")
    now, policies = world.clock.now(), PolicyCache()
    async with world.service.db.transaction() as session:
        batch = await load(session, await claim(session, now, limit=1), policies, now, lock=True)
        (row,), outcome = batch.rows, Outcome(now)
        result = review(batch.ledger(row), policies.of(row.seller_id), now, new_id)
        assert len(result.touches) == 1
        outcome.add(batch.ledger(row), result)
        before = (await fetch(session, _UPDATES))[0]
        await outcome.store(session)
        after = (await fetch(session, _UPDATES))[0]
    assert (after.all - before.all, after.hot - before.hot) == (1, 1)


_UPDATES = """
SELECT pg_stat_get_xact_tuples_updated(of) AS all, pg_stat_get_xact_tuples_hot_updated(of) AS hot
FROM CAST('follow_up'::regclass AS oid) AS of
"""
