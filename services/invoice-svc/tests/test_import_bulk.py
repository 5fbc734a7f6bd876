"""Imports of so many rows that they travel by COPY, and among so many that a whole table may not be gone through."""

from __future__ import annotations

import asyncio
from typing import Any

from remit_testing.import_rows import Import, row
from sqlalchemy import text

from invoice_svc import customers, invoices, issuing
from invoice_svc.inputs import InvoiceIn
from remit_events.invoices import InvoiceIssued
from remit_service.bulk import _lock_sql, execute, fetch

COUNT = 120


async def test_many_rows_go_in_in_their_order_and_get_their_answers_again(world: Any) -> None:
    rows = [row(line) for line in range(2, COUNT)] + [row(COUNT, currency="€€€"), row(COUNT + 1, due_date="")]
    run = await Import.begin(world)
    results = await run.rows(*rows)
    assert [one["status"] for one in results] == ["created"] * (COUNT - 2) + ["rejected", "created"]
    assert results[-1]["notes"] == [f"Invoice I-{COUNT + 1} has no due date, so it is never reminded."]
    events = await world.events()
    issued = [event.invoice.number for event in events if isinstance(event, InvoiceIssued)]
    assert issued == [one["invoice_number"] for one in results if one["status"] == "created"]
    assert len(events) == len(issued) + 1
    assert await run.rows(*reversed(rows)) == list(reversed(results))
    summary = await run.finish()
    assert (summary["created"], summary["rejected"]) == (COUNT - 1, 1)
    again = await (await Import.begin(world)).rows(*rows)
    assert [one["status"] for one in again] == ["unchanged"] * (COUNT - 2) + ["rejected", "unchanged"]
    assert await world.events() == []


async def test_a_number_taken_meanwhile_is_a_conflict_and_nothing_stays(world: Any) -> None:
    """Somebody else's transaction has stored one of the invoices and commits while the import waits for it."""
    other = await world.customer()
    run = await Import.begin(world)
    rows = [row(line) for line in range(2, COUNT)]
    taking = InvoiceIn(customer_external_id=other["external_id"], number="I-7", amount_minor=1, currency="EUR")
    async with world.service.db.transaction() as session:
        await issuing.create(session, world.client.seller.id, [taking], world.clock.now())
        path = f"/v1/imports/{run.run['id']}/rows"
        waiting = asyncio.create_task(world.client.post(path, json={"rows": rows}))
        await _until_one_waits(world)
    answer = await waiting
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:remit:problem:import-in-progress")
    assert (await world.get("/v1/customers", external_id="K-1"))["data"] == []
    assert (await run.rows(row(2)))[0]["status"] == "created"


async def _until_one_waits(world: Any) -> None:
    waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'"
    async with world.service.db.single() as session:
        while not await fetch(session, waits):  # noqa: ASYNC110 - it is the server's
            await asyncio.sleep(0.01)


_MANY = """
INSERT INTO customer (id, seller_id, external_id, name, profile, country, sms_consent, version, created_at, updated_at)
SELECT gen_random_uuid(), :seller, 'M-' || n, 'Many', 'business', 'DE', false, 1, :now, :now
FROM generate_series(1, 20000) AS n
"""
_BILLED = """
INSERT INTO invoice (id, seller_id, customer_id, number, status, currency, total_minor, balance_minor, disputed_minor,
    disputed_whole, promise_paid_minor, promises_broken, imported, issued_at, version, created_at, updated_at)
SELECT gen_random_uuid(), seller_id, id, external_id, 'issued', 'EUR', 1, 1, 0, false, 0, 0, true, :now, 1, :now, :now
FROM customer WHERE seller_id = :seller
"""


async def test_no_look_at_numbers_goes_through_all_of_a_seller(world: Any) -> None:
    """By the generic plan, as the service's connections use it, of tables the server has not analyzed yet."""
    now, seller = world.clock.now(), world.client.seller.id
    async with world.service.db.transaction() as session:
        await session.execute(text(_MANY), {"seller": seller, "now": now})
        await session.execute(text(_BILLED), {"seller": seller, "now": now})
        for module, by in ((customers, "external_id"), (invoices, "number")):
            statement = str(_lock_sql(module.table, module.COLUMNS, by))
            statement = statement.replace(":seller_id", "$1").replace(":values", "$2")
            await execute(session, f"PREPARE look_{by} (uuid, text[]) AS {statement}")
            plan = await fetch(session, f"EXPLAIN EXECUTE look_{by} ('{seller}', '{{M-7,M-8}}')")
            lines = "\n".join(line for (line,) in plan)
            assert f"(seller_id = $1) AND ({by} = ANY ($2))" in lines, lines
        await session.rollback()
