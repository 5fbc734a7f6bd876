"""Credit on account, put to invoices later: exact, once, and taken back with its payment."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from remit_events.invoices import CreditAllocated, InvoicePaid, PaymentReversed, PromiseKept


async def credit(world: Any, amount: int = 5_000) -> tuple[Any, Any]:
    """A customer and their payment, all of it on account."""
    customer = await world.customer()
    body = {"customer_id": customer["id"], "amount_minor": amount, "currency": "EUR", "reference": f"c-{uuid4()}"}
    return customer, await world.post("/v1/payments", body)


async def allocate(world: Any, payment: Any, status: int = 200, **given: Any) -> Any:
    return await world.post(f"/v1/payments/{payment['id']}/allocations", given, status)


def shares(payment: Any) -> list[tuple[str, int, int]]:
    return [(one["invoice_number"], one["amount_minor"], one["balance_minor"]) for one in payment["allocations"]]


async def on_account(world: Any, customer: Any) -> list[tuple[str, int]]:
    found = await world.get(f"/v1/customers/{customer['id']}")
    return [(one["currency"], one["amount_minor"]) for one in found["credit"]]


async def test_credit_goes_to_what_has_been_due_longest(world: Any) -> None:
    customer, paid = await credit(world, 12_000)
    later, first = [await world.invoice(customer, due_date=due) for due in ("2026-05-01", "2026-04-01")]
    await world.invoice(customer, currency="USD", due_date="2026-03-03")
    await world.events()
    put = await allocate(world, paid)
    assert (shares(put), put["credit_minor"]) == (
        [(first["number"], 10_000, 0), (later["number"], 2_000, 8_000)],
        0,
    )
    allocated, done = await world.events()
    assert isinstance(allocated, CreditAllocated)
    assert isinstance(done, InvoicePaid)
    assert (allocated.amount_minor, allocated.credit_minor) == (0, -12_000)
    assert [(one.amount_minor, one.invoice.balance_minor) for one in allocated.allocations] == [
        (10_000, 0),
        (2_000, 8_000),
    ]
    assert (str(done.payment_id), done.paid_on.isoformat(), done.invoice) == (
        paid["id"],
        "2026-03-02",
        allocated.allocations[0].invoice,
    )
    assert await on_account(world, customer) == []
    assert [one["id"] for one in (await world.get(f"/v1/invoices/{later['id']}/payments"))["data"]] == [paid["id"]]


async def test_credit_goes_where_it_is_told(world: Any) -> None:
    customer, paid = await credit(world)
    one, other = await world.invoice(customer), await world.invoice(customer)
    put = await allocate(world, paid, allocations=[{"invoice_id": other["id"], "amount_minor": 1_500}])
    assert (shares(put), put["credit_minor"]) == ([(other["number"], 1_500, 8_500)], 3_500)
    put = await allocate(world, paid, invoice_id=other["id"])  # to the same invoice again
    assert (shares(put)[1:], put["credit_minor"]) == ([(other["number"], 3_500, 5_000)], 0)
    assert (await world.read(one))["balance_minor"] == 10_000


async def test_the_first_answer_stays_the_first(world: Any) -> None:
    invoice = await world.invoice()
    body = {"invoice_id": invoice["id"], "amount_minor": 12_500, "currency": "EUR", "reference": f"c-{uuid4()}"}
    first = await world.post("/v1/payments", body)
    other = await world.invoice({"id": invoice["customer_id"]})
    await allocate(world, first)
    assert await world.post("/v1/payments", body) == first
    assert await world.post("/v1/payments", body | {"amount_minor": 12_501}, 409)
    now = await world.get(f"/v1/payments/{first['id']}")
    assert (now["credit_minor"], len(now["allocations"])) == (0, 2)
    assert (await world.read(other))["balance_minor"] == 7_500


async def test_taken_back_the_payment_takes_its_credit_back_too(world: Any) -> None:
    invoice = await world.invoice()
    customer = {"id": invoice["customer_id"]}
    part = {"invoice_id": invoice["id"], "amount_minor": 1_000}
    paid = await world.pay(invoice, 9_000, allocations=[part], invoice_id=None)
    await allocate(world, paid, invoice_id=invoice["id"])
    other = await world.invoice(customer)
    await world.events()
    await world.post(f"/v1/payments/{paid['id']}/reverse", {"reason": "bounced"}, 200)
    [back] = await world.events()
    assert isinstance(back, PaymentReversed)
    assert (back.amount_minor, back.credit_minor) == (-9_000, 0)
    assert [(one.amount_minor, one.invoice.balance_minor) for one in back.allocations] == [
        (-1_000, 10_000),
        (-8_000, 10_000),
    ]
    assert (await world.read(invoice))["status"] == "issued"
    problem = await allocate(world, paid, 409, invoice_id=other["id"])
    assert problem["type"] == "urn:remit:problem:payment-reversed"


async def test_credit_keeps_a_promise_and_taken_back_does_not(world: Any) -> None:
    customer, paid = await credit(world)
    invoice = await world.invoice(customer)
    await world.post(f"/v1/invoices/{invoice['id']}/promises", {"on": "2026-03-06", "amount_minor": 5_000})
    await world.events()
    await allocate(world, paid)
    _, kept = await world.events()
    assert isinstance(kept, PromiseKept)
    await world.post(f"/v1/payments/{paid['id']}/reverse", {"reason": "bounced"}, 200)
    assert await world.event_names() == ["PaymentReversed", "PromiseReopened"]


@pytest.mark.parametrize(
    ("parts", "pointer", "code"),
    [
        ([(0, 10_001)], "/allocations/0/amount_minor", "more_than_owed"),
        ([(0, 3_000), (1, 3_000)], "/allocations/1/amount_minor", "more_than_paid"),
        ([(0, 1), (0, 1)], "/allocations/1/amount_minor", "duplicate"),
        ([(2, 1)], "/allocations/0/invoice_id", "other_currency"),
    ],
)
async def test_what_cannot_be_allocated(world: Any, parts: list[Any], pointer: str, code: str) -> None:
    customer, paid = await credit(world)
    made = [await world.invoice(customer, currency=currency) for currency in ("EUR", "EUR", "USD")]
    given = [{"invoice_id": made[index]["id"], "amount_minor": amount} for index, amount in parts]
    problem = await allocate(world, paid, 422, allocations=given)
    assert [(one["pointer"], one["code"]) for one in problem["errors"]] == [(pointer, code)]
    assert await on_account(world, customer) == [("EUR", 5_000)]


async def test_nothing_to_put_or_nowhere_to_put_it(world: Any, stranger: Any) -> None:
    customer, paid = await credit(world)
    assert (await allocate(world, paid, 409))["type"] == "urn:remit:problem:nothing-to-allocate"
    other, done = await world.invoice(), await world.invoice(customer, amount_minor=1)
    assert (await allocate(world, paid, 404, invoice_id=other["id"]))["errors"][0]["pointer"] == "/invoice_id"
    await world.pay(done, 1)
    problem = await allocate(world, paid, 409, invoice_id=done["id"])
    assert (problem["type"], "Name another invoice" in problem["detail"]) == ("urn:remit:problem:invoice-paid", True)
    spent = await world.pay(other, 10)
    assert "has no credit" in (await allocate(world, spent, 409))["detail"]
    answer = await stranger.post(f"/v1/payments/{paid['id']}/allocations", json={})
    assert answer.status_code == 404


async def test_many_at_once_put_it_once(world: Any) -> None:
    customer, paid = await credit(world)
    made = [await world.invoice(customer, amount_minor=1_000) for _ in range(8)]
    url = f"/v1/payments/{paid['id']}/allocations"
    sent = [world.client.post(url, json={"invoice_id": one["id"]}) for one in made]
    answers = await asyncio.gather(*sent, world.client.post(f"/v1/payments/{paid['id']}/allocations", json={}))
    assert {answer.status_code for answer in answers} <= {200, 409}
    owed = [(await world.read(one))["balance_minor"] for one in made]
    assert (sum(owed), await on_account(world, customer)) == (3_000, [])
