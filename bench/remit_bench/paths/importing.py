"""Batch import over HTTP, 1,000 rows a call → committed, outbox written: beside an insert of the same rows."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
from remit_testing.installations import KEY, make_installation

from remit_bench.caller import Caller
from remit_bench.measure import Comparison, compare
from remit_bench.paths.posting import CUSTOMERS, SERVICE, service
from remit_bench.stage import Stage

ROWS, CALL, CALLERS = 20_000, 1_000, 4
INSERT = "asyncpg INSERT … SELECT unnest"
ISSUED = date(2026, 3, 2)

_TABLE = "CREATE TABLE plain (LIKE invoice INCLUDING ALL)"
_INSERT = """
INSERT INTO plain (id, seller_id, customer_id, number, status, currency, total_minor, balance_minor, issue_date,
    due_date, issued_at, imported, version, created_at, updated_at, disputed_minor, disputed_whole, promise_paid_minor,
    promises_broken)
SELECT id, $2, customer_id, number, 'issued', 'EUR', amount, amount, $3, $4, $5, true, 1, $5, $5, 0, false, 0, 0
FROM unnest($1::uuid[], $6::uuid[], $7::text[], $8::bigint[]) AS g(id, customer_id, number, amount)
"""


async def run(stage: Stage) -> Comparison:
    installation = await make_installation(stage.make_database, stage.folder, events_url=stage.kafka.url)
    rows, given = stage.size(ROWS), 0
    found = Comparison("import over HTTP, 1,000 rows a call", "invoices", goals={INSERT: 0.25}, least=10_000)
    found.quoted = {INSERT: 45_000}
    async with AsyncExitStack() as stack:
        _caller, pid = await stack.enter_async_context(service(installation))
        port = int(installation.addresses.urls()[SERVICE].rpartition(":")[2])
        path = f"/v1/imports/{await _begun(port)}/rows"
        four = await stack.enter_async_context(Caller(port, CALLERS, [("Authorization", f"Bearer {KEY}")]))
        plain = await asyncpg.connect(installation.databases[SERVICE].replace("+asyncpg", ""))
        stack.push_async_callback(plain.close)
        await plain.execute(_TABLE)
        bodies: list[bytes] = []

        async def prepare() -> None:
            nonlocal given
            bodies[:] = [_body(n, min(CALL, given + rows - n)) for n in range(given, given + rows, CALL)]
            given += rows

        async def imported() -> int:
            await four.post(path, bodies)
            return rows

        async def inserted() -> int:
            for n in range(0, rows, CALL):
                await plain.execute(_INSERT, *_columns(min(CALL, rows - n)))
            return rows

        processes = stage.processes(service=lambda: pid)
        return await compare(found, processes, stage.rounds, imported, {INSERT: inserted}, before={"path": prepare})


async def _begun(port: int) -> str:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as client:
        answer = (
            await client.post("/v1/imports", json={"file_name": "bench.csv", "rows_total": 1_000_000})
        ).raise_for_status()
        return str(answer.json()["id"])


def _body(first: int, count: int) -> bytes:
    return json.dumps({"rows": rows(first, count, CUSTOMERS)}).encode()


def rows(first: int, count: int, customers: int) -> list[dict[str, Any]]:
    """Overdue invoices of so many customers in turn, the first being number `first`."""
    return [_row(n, n % customers) for n in range(first, first + count)]


def _row(n: int, customer: int) -> dict[str, Any]:
    return {
        "line": n + 2,
        "customer_external_id": f"C-{customer}",
        "customer_name": f"Customer {customer}",
        "profile": "business",
        "email": f"ap@c{customer}.example",
        "country": "DE",
        "invoice_number": f"I-{n:08}",
        "issue_date": ISSUED.isoformat(),
        "due_date": (ISSUED + timedelta(days=30)).isoformat(),
        "amount_minor": 11_900 + n,
        "currency": "EUR",
    }


def _columns(count: int) -> tuple[object, ...]:
    """What the insert takes: ids and numbers that are in no other round."""
    ids: list[UUID] = [uuid4() for _ in range(count)]
    seller, now = UUID(int=1), datetime.now(UTC)
    numbers, amounts = [f"P-{one.hex}" for one in ids], list(range(count))
    return (
        ids,
        seller,
        ISSUED,
        ISSUED + timedelta(days=30),
        now,
        [uuid4() for _ in ids],
        numbers,
        [n + 1 for n in amounts],
    )
