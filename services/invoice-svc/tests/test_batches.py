"""Batches: a result per item, all or nothing on request, and the same number of statements for any size."""

from __future__ import annotations

from typing import Any

import pytest
from remit_testing.statements import sent_by

GOOD = {"amount_minor": 100, "currency": "EUR", "issue_date": "2026-03-02", "due_date": "2026-04-01"}


async def test_partial(world: Any) -> None:
    customer = await world.customer()
    await world.events()
    base = GOOD | {"customer_external_id": customer["external_id"]}
    batch = [
        base | {"number": "B-1"},
        base | {"amount_minor": 0},
        "nonsense",
        base | {"number": "B-1"},
        base | {"customer_external_id": "nobody"},
        base | {"issue_date": "2026-05-01"},
        base | {"number": "bell\x07"},
        base | {"disputed": True},
    ]
    answer = await world.post("/v1/invoices/batch", {"invoices": batch}, 200)
    results = answer["results"]
    assert [one["index"] for one in results] == list(range(8))
    assert [one["status"] for one in results] == [201, 422, 422, 409, 404, 422, 422, 201]
    assert results[0]["number"] == "B-1"
    assert results[1]["problem"]["errors"][0]["pointer"] == "/amount_minor"
    assert results[3]["problem"]["errors"][0] == {
        "pointer": "/number",
        "code": "duplicate",
        "detail": results[3]["problem"]["detail"],
        "value": "B-1",
    }
    assert await world.event_names() == ["InvoiceIssued", "InvoiceIssued", "DisputeOpened"]
    assert (await world.get(f"/v1/invoices/{results[7]['id']}"))["number"] == "R-000001"


async def test_atomic(world: Any) -> None:
    customer = await world.customer()
    await world.events()
    base = GOOD | {"customer_id": customer["id"]}
    for bad in (base | {"amount_minor": -1}, base | {"customer_id": None, "customer_external_id": "nobody"}):
        answer = await world.client.post("/v1/invoices/batch?atomic=true", json={"invoices": [base, bad, base]})
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:remit:problem:batch-refused"
        assert [one["index"] for one in answer.json()["results"]] == [1]
    assert await world.events() == []
    assert (await world.get("/v1/invoices"))["data"] == []
    good = await world.post("/v1/invoices/batch?atomic=true", {"invoices": [base, base]}, 200)
    # The refused batches took no number: the series has no gap.
    assert [one["number"] for one in good["results"]] == ["R-000001", "R-000002"]


async def test_too_many_and_none(world: Any) -> None:
    assert (await world.post("/v1/invoices/batch", {"invoices": []}, 200)) == {"results": []}
    problem = await world.post("/v1/invoices/batch", {"invoices": [{}] * 1001}, 422)
    assert problem["errors"][0]["pointer"] == "/invoices"
    await world.post("/v1/invoices/batch", {"invoices": [], "dry": True}, 422)


@pytest.mark.parametrize("kind", ["customers", "invoices", "payments"])
async def test_the_number_of_statements_does_not_grow(world: Any, kind: str) -> None:
    def customers(count: int, series: str) -> list[Any]:
        return [
            {"external_id": f"{series}{n}", "name": f"N {n}", "country": "DE", "email": f"{series}{n}@x.example"}
            for n in range(count)
        ]

    def invoices(count: int, series: str) -> list[Any]:
        return [GOOD | {"customer_external_id": f"base{n % 50}", "disputed": n % 2 == 0} for n in range(count)]

    def payments(count: int, series: str) -> list[Any]:
        money = {"amount_minor": 60, "currency": "EUR"}
        return [money | {"invoice_number": f"P-{n}", "reference": f"{series}{n}"} for n in range(count)]

    await world.post("/v1/customers/batch", {"customers": customers(50, "base")}, 200)
    numbered = [one | {"number": f"P-{n}"} for n, one in enumerate(invoices(200, ""))]
    await world.post("/v1/invoices/batch", {"invoices": numbered}, 200)
    make = {"customers": customers, "invoices": invoices, "payments": payments}[kind]
    counts = []
    for count, series in ((2, "a"), (200, "b")):
        with sent_by(world.service.db.engine) as sent:
            answer = await world.post(f"/v1/{kind}/batch", {kind: make(count, series)}, 200)
        assert all(result["status"] in (200, 201) for result in answer["results"]), answer
        counts.append(len(sent))
    assert counts[0] == counts[1] <= 12


async def test_customers_upsert(world: Any) -> None:
    one = {"external_id": "U-1", "name": "One", "country": "DE"}
    assert [
        r["status"] for r in (await world.post("/v1/customers/batch", {"customers": [one, one]}, 200))["results"]
    ] == [
        201,
        409,
    ]
    await world.events()
    changed = [one, one | {"name": "Two"}, one | {"external_id": "U-2"}, one | {"external_id": "U-2", "name": "Three"}]
    answer = await world.post("/v1/customers/batch?upsert=true", {"customers": changed}, 200)
    assert [r["status"] for r in answer["results"]] == [200, 200, 201, 200]
    events = await world.events()
    assert [(e.customer.external_id, e.customer.version, e.customer.name) for e in events] == [
        ("U-1", 2, "Two"),
        ("U-2", 1, "One"),
        ("U-2", 2, "Three"),
    ]
    stored = await world.get("/v1/customers/by-external-id/U-2")
    assert (stored["name"], stored["version"]) == ("Three", 2)


async def test_payments_in_their_order(world: Any) -> None:
    customer = await world.customer()
    invoice = await world.invoice(customer, number="O-1")
    await world.events()
    money = {"currency": "EUR", "invoice_number": "O-1"}
    batch = [
        money | {"amount_minor": 4_000, "reference": "a"},
        money | {"amount_minor": 1, "reference": "b", "currency": "USD"},
        money | {"amount_minor": 4_000, "reference": "a"},
        {"invoice_number": "O-1", "settle": True, "reference": "c"},
        money | {"amount_minor": 1, "reference": "d"},
    ]
    answer = await world.post("/v1/payments/batch", {"payments": batch}, 200)
    results = answer["results"]
    assert [one["status"] for one in results] == [201, 422, 201, 201, 409]
    assert results[2]["id"] == results[0]["id"]
    assert results[2]["duplicate"] is True
    assert await world.event_names() == ["PaymentReceived", "PaymentReceived", "InvoicePaid"]
    assert (await world.read(invoice))["status"] == "paid"
    refused = await world.client.post(
        "/v1/payments/batch?atomic=true", json={"payments": [money | {"amount_minor": 1, "reference": "e"}]}
    )
    assert refused.status_code == 422
