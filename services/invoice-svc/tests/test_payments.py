"""Payments: where the money goes, once per reference, and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text


async def three(world: Any) -> tuple[Any, list[Any]]:
    """A customer with three invoices of 100.00, due in April, March and without a day."""
    customer = await world.customer()
    made = [
        await world.invoice(customer, number=f"{customer['external_id']}-{name}", due_date=due)
        for name, due in (("APR", "2026-04-01"), ("MAR", "2026-03-15"), ("NONE", None))
    ]
    return customer, made


def shares(payment: Any) -> list[tuple[str, int]]:
    return [(part["invoice_number"].rpartition("-")[2], part["amount_minor"]) for part in payment["allocations"]]


async def pay_customer(world: Any, customer: Any, amount: int, status: int = 201, **given: Any) -> Any:
    body = {"customer_id": customer["id"], "amount_minor": amount, "currency": "EUR", "reference": f"r-{uuid4()}"}
    return await world.post("/v1/payments", body | given, status)


async def test_oldest_due_first_then_credit(world: Any) -> None:
    customer, _ = await three(world)
    assert shares(await pay_customer(world, customer, 15_000)) == [("MAR", 10_000), ("APR", 5_000)]
    last = await pay_customer(world, customer, 20_000)
    assert (shares(last), last["credit_minor"]) == ([("APR", 5_000), ("NONE", 10_000)], 5_000)
    only_credit = await pay_customer(world, customer, 100)
    assert (shares(only_credit), only_credit["credit_minor"]) == ([], 100)


async def test_reference_names_the_invoice(world: Any) -> None:
    customer, made = await three(world)
    paid = await pay_customer(world, customer, 12_000, reference=f"Rechnung {made[2]['number']} danke")
    assert shares(paid) == [("NONE", 10_000), ("MAR", 2_000)]


async def test_explicit_allocation(world: Any) -> None:
    customer, made = await three(world)
    parts = [{"invoice_id": made[0]["id"], "amount_minor": 100}, {"invoice_id": made[2]["id"], "amount_minor": 200}]
    paid = await pay_customer(world, customer, 1_000, allocations=parts)
    assert (shares(paid), paid["credit_minor"]) == ([("APR", 100), ("NONE", 200)], 700)
    by_invoices_alone = {"amount_minor": 300, "currency": "EUR", "reference": "x", "allocations": parts}
    assert shares(await world.post("/v1/payments", by_invoices_alone)) == [("APR", 100), ("NONE", 200)]


@pytest.mark.parametrize(
    ("parts", "pointer", "code"),
    [
        ([(0, 10_001)], "/allocations/0/amount_minor", "more_than_owed"),
        ([(0, 6_000), (1, 6_000)], "/allocations/1/amount_minor", "more_than_paid"),
        ([(0, 1), (0, 1)], "/allocations/1/amount_minor", "duplicate"),
    ],
)
async def test_explicit_allocation_refused(world: Any, parts: list[Any], pointer: str, code: str) -> None:
    customer, made = await three(world)
    given = [{"invoice_id": made[index]["id"], "amount_minor": amount} for index, amount in parts]
    problem = await pay_customer(world, customer, 11_000, 422, allocations=given)
    assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [(pointer, code)]


async def test_allocation_to_another_customers_invoice(world: Any) -> None:
    customer, _ = await three(world)
    other = await world.invoice()
    parts = [{"invoice_id": other["id"], "amount_minor": 1}]
    problem = await pay_customer(world, customer, 1, 404, allocations=parts)
    assert problem["errors"][0]["pointer"] == "/allocations/0/invoice_id"


async def test_settle_pays_the_balance(world: Any) -> None:
    invoice = await world.invoice(currency="JPY", amount_minor=1_050)
    await world.post("/v1/payments", {"invoice_id": invoice["id"], "settle": True, "reference": "s-1"})
    assert (await world.read(invoice))["status"] == "paid"
    again = await world.post("/v1/payments", {"invoice_id": invoice["id"], "settle": True, "reference": "s-2"}, 409)
    assert again["type"] == "urn:remit:problem:invoice-paid"


async def test_the_same_reference_gives_the_first_answer_for_ever(world: Any) -> None:
    invoice = await world.invoice()
    body = {
        "invoice_id": invoice["id"],
        "amount_minor": 4_000,
        "currency": "EUR",
        "reference": "bank-77",
        "provider": "sepa",
    }
    first = await world.post("/v1/payments", body)
    await world.events()
    await world.post(f"/v1/payments/{first['id']}/reverse", {"reason": "bounced"}, 200)
    await world.events()
    answer = await world.client.post("/v1/payments", json=body)
    assert (answer.status_code, answer.json()) == (201, first)
    assert answer.headers["idempotency-replayed"] == "true"
    assert await world.events() == []
    assert (await world.get(f"/v1/payments/{first['id']}"))["status"] == "reversed"
    other = await world.post("/v1/payments", body | {"provider": "paypal"})
    assert other["id"] != first["id"]


@pytest.mark.parametrize(
    "other",
    [
        {"amount_minor": 9_000},
        {"currency": "USD"},
        {"invoice_id": "second"},
        {"invoice_id": None, "invoice_number": "no such", "customer_id": "their own"},
        {"invoice_id": None, "customer_id": "another"},
        {"invoice_id": None, "allocations": [("second", 4_000)]},
        {"invoice_id": None, "allocations": [("first", 3_000)]},
    ],
)
async def test_another_payment_under_a_used_reference_is_refused(world: Any, other: dict[str, Any]) -> None:
    customer = await world.customer()
    first, second = await world.invoice(customer), await world.invoice(customer)
    ids = {"first": first["id"], "second": second["id"], "their own": customer["id"]}
    ids["another"] = (await world.customer())["id"]
    body = {"invoice_id": first["id"], "amount_minor": 4_000, "currency": "EUR", "reference": f"bank-{uuid4()}"}
    paid = await world.post("/v1/payments", body)
    await world.events()
    given = {name: ids.get(value, value) if isinstance(value, str) else value for name, value in other.items()}
    if "allocations" in other:
        given["allocations"] = [{"invoice_id": ids[one], "amount_minor": sum_} for one, sum_ in other["allocations"]]
    problem = await world.post("/v1/payments", body | given, 409)
    assert problem["type"] == "urn:remit:problem:duplicate-payment"
    assert "was used before, for 40.00 EUR received on 2026-03-02: nothing was recorded now" in problem["detail"]
    results = await world.post("/v1/payments/batch", {"payments": [body | given, body]}, 200)
    assert [one["status"] for one in results["results"]] == [409, 201]
    assert results["results"][1]["id"] == paid["id"]
    assert await world.events() == []


@pytest.mark.parametrize("same", [{"invoice_number": "its own"}, {"customer_id": "theirs"}, {"allocations": "all"}])
async def test_the_same_payment_may_be_told_in_other_words(world: Any, same: dict[str, Any]) -> None:
    invoice = await world.invoice()
    body = {"invoice_id": invoice["id"], "amount_minor": 4_000, "currency": "EUR", "reference": f"bank-{uuid4()}"}
    paid = await world.post("/v1/payments", body)
    words = {"its own": invoice["number"], "theirs": invoice["customer_id"]}
    words["all"] = [{"invoice_id": invoice["id"], "amount_minor": 4_000}]
    del body["invoice_id"]
    again = await world.post("/v1/payments", body | {name: words[word] for name, word in same.items()})
    assert again["id"] == paid["id"]


async def test_settled_again_it_is_the_same(world: Any) -> None:
    invoice = await world.invoice()
    body = {"invoice_id": invoice["id"], "settle": True, "reference": f"s-{uuid4()}"}
    assert await world.post("/v1/payments", body) == await world.post("/v1/payments", body)
    other = await world.invoice()
    assert (await world.post("/v1/payments", body | {"invoice_id": other["id"]}, 409))["status"] == 409


async def test_external_id_of_another_reference(world: Any) -> None:
    invoice = await world.invoice()
    await world.pay(invoice, 1, external_id="p-1")
    problem = await world.pay(invoice, 1, 409, external_id="p-1")
    assert problem["type"] == "urn:remit:problem:duplicate-payment"


async def test_payment_in_the_future(world: Any) -> None:
    invoice = await world.invoice()
    problem = await world.pay(invoice, 1, 422, received_on="2026-03-03")
    assert (problem["errors"][0]["pointer"], problem["errors"][0]["value"]) == ("/received_on", "2026-03-03")
    # In Kiribati it is past midnight already.
    ahead = await world.customer(country="KI", timezone="Pacific/Kiritimati")
    paid = await world.pay(await world.invoice(ahead), 1, received_on="2026-03-02")
    assert paid["received_on"] == "2026-03-02"
    assert (await world.pay(await world.invoice(ahead), 1))["received_on"] == "2026-03-02"
    far_west = await world.customer(country="US", timezone="Pacific/Honolulu")
    assert (await world.pay(await world.invoice(far_west), 1))["received_on"] == "2026-03-01"


async def test_of_whom_it_is(world: Any) -> None:
    missing = str(uuid4())
    base = {"amount_minor": 1, "currency": "EUR", "reference": "x"}
    for name, value in (
        ("invoice_id", missing),
        ("invoice_number", "no such"),
        ("customer_id", missing),
        ("customer_external_id", "no such"),
    ):
        problem = await world.post("/v1/payments", base | {name: value}, 404)
        assert problem["errors"][0]["pointer"] == f"/{name}", problem
        assert problem["errors"][0]["value"] == value
    invoice, other = await world.invoice(), await world.customer()
    wrong = base | {"invoice_id": invoice["id"], "customer_id": other["id"]}
    assert (await world.post("/v1/payments", wrong, 422))["errors"][0]["pointer"] == "/customer_id"
    both = base | {"invoice_id": invoice["id"], "invoice_number": invoice["number"]}
    assert "not both" in (await world.post("/v1/payments", both, 422))["detail"]
    nobody = await world.post("/v1/payments", base, 422)
    assert "name the invoice or the customer" in nobody["detail"]


async def test_void_draft_paid_and_other_currency(world: Any) -> None:
    void, draft, paid = await world.invoice(), await world.invoice(draft=True), await world.invoice()
    await world.post(f"/v1/invoices/{void['id']}/void", {"reason": "x"}, 200)
    await world.pay(paid, 10_000)
    for invoice, slug in ((void, "invoice-void"), (draft, "invoice-not-issued"), (paid, "invoice-paid")):
        problem = await world.pay(invoice, 1, 409)
        assert problem["type"] == f"urn:remit:problem:{slug}"
        assert problem["errors"][0]["pointer"] == "/invoice_id"
    euro = await world.invoice()
    problem = await world.pay(euro, 1, 422, currency="USD")
    assert (problem["errors"][0]["pointer"], problem["errors"][0]["value"]) == ("/currency", "USD")


async def test_money_only_goes_to_invoices_of_its_currency(world: Any) -> None:
    customer = await world.customer()
    await world.invoice(customer, currency="USD", due_date="2026-03-03")
    euro = await world.invoice(customer, due_date="2026-09-01")
    paid = await pay_customer(world, customer, 20_000)
    assert [part["invoice_id"] for part in paid["allocations"]] == [euro["id"]]
    assert paid["credit_minor"] == 10_000


async def test_a_hundred_at_once_with_one_reference(world: Any) -> None:
    invoice = await world.invoice()
    body = {"invoice_id": invoice["id"], "amount_minor": 10, "currency": "EUR", "reference": "once"}
    answers = await asyncio.gather(*(world.client.post("/v1/payments", json=body) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await world.read(invoice))["balance_minor"] == 9_990


async def test_a_hundred_at_once_with_one_idempotency_key(world: Any) -> None:
    customer = await world.customer()
    await world.events()
    body = {"customer_id": customer["id"], "amount_minor": 10, "currency": "EUR"}
    headers = {"Idempotency-Key": "only-once"}
    send = [world.client.post("/v1/invoices", json=body, headers=headers) for _ in range(100)]
    answers = await asyncio.gather(*send)
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert await world.event_names() == ["InvoiceIssued"]
    replayed = await world.client.post("/v1/invoices", json=body, headers=headers)
    assert replayed.headers["idempotency-replayed"] == "true"
    other = await world.client.post("/v1/invoices", json=body | {"amount_minor": 11}, headers=headers)
    assert other.status_code == 422


async def test_many_payments_at_once_sum_exactly(world: Any) -> None:
    """Concurrent payments and reversals on one invoice: the balance is the total less what stands, always."""
    invoice = await world.invoice(amount_minor=1_000)

    async def one(number: int) -> None:
        paid = await world.client.post(
            "/v1/payments",
            json={"invoice_id": invoice["id"], "amount_minor": 30, "currency": "EUR", "reference": f"c-{number}"},
        )
        assert paid.status_code in (201, 409)
        if paid.status_code == 201 and number % 3 == 0:
            url = f"/v1/payments/{paid.json()['id']}/reverse"
            assert (await world.client.post(url, json={"reason": "bounced"})).status_code == 200

    await asyncio.gather(*(one(number) for number in range(60)))
    sql = """SELECT sum(a.amount_minor) FILTER (WHERE p.status = 'received') FROM allocation a
             JOIN payment p ON p.id = a.payment_id WHERE a.invoice_id = :id"""
    async with world.service.db.reading() as session:
        standing = await session.scalar(text(sql), {"id": invoice["id"]})
    assert (await world.read(invoice))["balance_minor"] == 1_000 - standing
    versions = [
        event.allocations[0].invoice.version
        for event in await world.events()
        if hasattr(event, "allocations") and event.allocations
    ]
    assert versions == list(range(2, 2 + len(versions)))


async def test_lists(world: Any) -> None:
    customer, made = await three(world)
    for _ in range(3):
        await pay_customer(world, customer, 100)
    page = await world.get("/v1/payments", customer=customer["id"], limit=2)
    rest = await world.get("/v1/payments", customer=customer["id"], limit=2, cursor=page["next_cursor"])
    assert (len(page["data"]), len(rest["data"]), rest["next_cursor"]) == (2, 1, None)
    assert all(one["allocations"] for one in page["data"])
    of_invoice = await world.get(f"/v1/invoices/{made[1]['id']}/payments")
    assert len(of_invoice["data"]) == 3
