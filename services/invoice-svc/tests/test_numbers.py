"""Numbers Remit gives: no gaps under concurrency and rollbacks, none twice."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import text


async def all_numbers(world: Any) -> list[str]:
    numbers, cursor = [], None
    while True:
        page = await world.get("/v1/invoices", limit=200, **({"cursor": cursor} if cursor else {}))
        numbers += [one["number"] for one in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return numbers


async def test_no_gaps_under_concurrency_and_rollbacks(world: Any) -> None:
    owners = [await world.customer() for _ in range(5)]

    async def issue(number: int) -> None:
        body = {"customer_id": owners[number % 5]["id"], "amount_minor": 100, "currency": "EUR"}
        if number % 4 == 3:  # a batch that is refused as a whole
            batch = {"invoices": [body, body | {"customer_id": None}]}
            answer = await world.client.post("/v1/invoices/batch?atomic=true", json=batch)
            assert answer.status_code == 422
        elif number % 4 == 2:
            answer = await world.client.post("/v1/invoices/batch", json={"invoices": [body] * 3})
            assert answer.status_code == 200
        else:
            assert (await world.client.post("/v1/invoices", json=body)).status_code == 201

    await asyncio.gather(*(issue(number) for number in range(60)))
    numbers = await all_numbers(world)
    assert sorted(numbers) == [f"R-{n:06d}" for n in range(1, len(numbers) + 1)]
    assert len(numbers) == 15 * 3 + 30


async def test_a_number_a_caller_took_is_passed_over(world: Any) -> None:
    customer = await world.customer()
    await world.invoice(customer, number="R-000002")
    given = [(await world.invoice(customer))["number"] for _ in range(3)]
    assert given == ["R-000001", "R-000003", "R-000004"]


async def test_more_digits_when_six_do_not_do(world: Any) -> None:
    customer = await world.customer()
    await world.invoice(customer)
    async with world.service.db.transaction() as session:
        await session.execute(text("UPDATE number_series SET last_number = 999998"))
    given = [(await world.invoice(customer))["number"] for _ in range(3)]
    assert given == ["R-999999", "R-1000000", "R-1000001"]


async def test_the_same_number_at_once_goes_to_one(world: Any) -> None:
    owners = [await world.customer() for _ in range(8)]
    bodies = [{"customer_id": owner["id"], "amount_minor": 100, "currency": "EUR", "number": "ONE"} for owner in owners]
    answers = await asyncio.gather(*(world.client.post("/v1/invoices", json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert await all_numbers(world) == ["ONE"]


async def test_sellers_have_series_of_their_own(world: Any, stranger: Any) -> None:
    await world.invoice()
    customer = await stranger.post("/v1/customers", json={"external_id": "C", "name": "C", "country": "DE"})
    body = {"customer_id": customer.json()["id"], "amount_minor": 100, "currency": "EUR"}
    assert (await stranger.post("/v1/invoices", json=body)).json()["number"] == "R-000001"
