"""Many writers on the same customers at once: nobody locks another out, and what is stored adds up."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

from sqlalchemy import text


async def test_writers_in_any_order_do_not_lock_each_other(world: Any) -> None:
    chance = random.Random(7)  # noqa: S311 - an order, no secret
    names = [f"W-{number:02d}" for number in range(30)]
    people = [{"external_id": name, "name": name, "country": "DE"} for name in names]
    await world.post("/v1/customers/batch", {"customers": people}, 200)
    bill = {"amount_minor": 100, "currency": "EUR"}

    def some() -> list[str]:
        return chance.sample(names, 12)

    async def send(path: str, body: Any) -> Any:
        answer = await world.client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]

    async def issue(number: int) -> None:
        results = await send("/v1/invoices/batch", {"invoices": [bill | {"customer_external_id": n} for n in some()]})
        assert {one["status"] for one in results} == {201}

    async def rename(number: int) -> None:
        changed = [{"external_id": name, "name": f"{name} {number}", "country": "DE"} for name in some()]
        await send("/v1/customers/batch?upsert=true", {"customers": changed})

    async def pay(number: int) -> None:
        paid = [bill | {"customer_external_id": name, "reference": f"{number}-{name}"} for name in some()]
        results = await send("/v1/payments/batch", {"payments": paid})
        assert {one["status"] for one in results} == {201}

    async def take(number: int) -> None:
        opening = {"file_name": "w.csv", "rows_total": 12}
        run = await world.post("/v1/imports", opening)
        rows = [
            bill
            | {"line": line + 2, "customer_external_id": name, "customer_name": name, "country": "DE"}
            | {"invoice_number": f"{number}-{name}", "issue_date": "2026-03-01", "paid_date": "2026-03-02"}
            for line, name in enumerate(some())
        ]
        results = await send(f"/v1/imports/{run['id']}/rows", {"rows": rows})
        assert {one["status"] for one in results} == {"created"}

    work = [(issue, 6), (rename, 6), (pay, 6), (take, 6)]
    tasks = [act(number) for act, count in work for number in range(count)]
    chance.shuffle(tasks)
    await asyncio.gather(*tasks)
    await _adds_up(world)


async def _adds_up(world: Any) -> None:
    """Balances are totals less what was put to them, payments wholly accounted for, versions without a gap."""
    seller = {"seller": world.client.seller.id}
    wrong = """
        SELECT i.id FROM invoice i LEFT JOIN allocation a ON a.invoice_id = i.id WHERE i.seller_id = :seller
        GROUP BY i.id HAVING i.balance_minor <> i.total_minor - coalesce(sum(a.amount_minor), 0)
        UNION ALL
        SELECT p.id FROM payment p LEFT JOIN allocation a ON a.payment_id = p.id WHERE p.seller_id = :seller
        GROUP BY p.id HAVING p.amount_minor <> p.credit_minor + coalesce(sum(a.amount_minor), 0)
    """
    async with world.service.db.reading() as session:
        assert (await session.execute(text(wrong), seller)).all() == []
    versions: Counter[Any] = Counter()
    for event in await world.events():
        seen = {state.id: state.version for state in event.invoice_states()}
        if customer := event.customer_state():
            seen[customer.id] = customer.version
        for thing, version in seen.items():
            # In the order of the outbox every version follows the one before; InvoicePaid shares its payment's.
            assert version in (versions[thing], versions[thing] + 1)
            versions[thing] = version
    assert sum(versions.values()) > 300
