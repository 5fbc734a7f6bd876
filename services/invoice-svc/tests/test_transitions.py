"""Every transition of an invoice over HTTP: what it answers, what it says, what it refuses."""

from __future__ import annotations

from typing import Any

from remit_events.invoices import DisputeResolved, InvoiceIssued, InvoicePaid, InvoiceVoided


async def test_issue_at_once(world: Any) -> None:
    customer = await world.customer()
    await world.events()
    invoice = await world.invoice(customer, number="2026-0042", external_id="erp-1")
    assert (invoice["status"], invoice["number"], invoice["balance_minor"], invoice["version"]) == (
        "issued",
        "2026-0042",
        10_000,
        1,
    )
    [event] = await world.events()
    assert isinstance(event, InvoiceIssued)
    assert event.invoice.number == "2026-0042"
    assert event.invoice.issued_at == world.clock.now()
    assert event.customer_id == event.invoice.customer_id
    assert str(event.customer_id) == customer["id"]


async def test_paid_partly_then_in_full(world: Any) -> None:
    invoice = await world.invoice()
    await world.events()
    first = await world.pay(invoice, 4_000, received_on="2026-02-27")
    assert first["allocations"][0]["balance_minor"] == 6_000
    assert (await world.read(invoice))["status"] == "partly_paid"
    await world.pay(invoice, 6_000)
    paid = await world.read(invoice)
    assert (paid["status"], paid["balance_minor"], paid["paid_minor"], paid["version"]) == ("paid", 0, 10_000, 3)
    received, again, done = await world.events()
    assert [type(e).__name__ for e in (received, again, done)] == ["PaymentReceived", "PaymentReceived", "InvoicePaid"]
    assert isinstance(done, InvoicePaid)
    assert (done.days_late, done.invoice.version, again.allocations[0].invoice.version) == (-30, 3, 3)
    assert done.invoice == again.allocations[0].invoice


async def test_overpaid_is_credit(world: Any) -> None:
    customer = await world.customer()
    invoice = await world.invoice(customer)
    payment = await world.pay(invoice, 12_500)
    assert (payment["credit_minor"], payment["allocations"][0]["amount_minor"]) == (2_500, 10_000)
    credit = (await world.get(f"/v1/customers/{customer['id']}"))["credit"]
    assert credit == [{"currency": "EUR", "amount_minor": 2_500}]


async def test_reversal_reopens(world: Any) -> None:
    invoice = await world.invoice()
    first, second = await world.pay(invoice, 4_000), await world.pay(invoice, 6_000)
    await world.events()
    reversed_ = await world.post(f"/v1/payments/{second['id']}/reverse", {"reason": "charge-back"}, 200)
    assert (reversed_["status"], reversed_["reversed_on"]) == ("reversed", "2026-03-02")
    open_again = await world.read(invoice)
    assert (open_again["status"], open_again["balance_minor"]) == ("partly_paid", 6_000)
    [event] = await world.events()
    assert (event.amount_minor, event.allocations[0].amount_minor, event.reason) == (-6_000, -6_000, "charge-back")
    assert event.allocations[0].invoice.balance_minor == 6_000
    problem = await world.post(f"/v1/payments/{second['id']}/reverse", {"reason": "again"}, 409)
    assert problem["type"] == "urn:remit:problem:payment-reversed"
    path = f"/v1/payments/{first['id']}/reverse"
    early = await world.post(path, {"reason": "charge-back", "reversed_on": "2026-03-01"}, 422)
    assert (early["errors"][0]["pointer"], early["errors"][0]["code"]) == ("/reversed_on", "before_received")
    await world.post(path, {"reason": "charge-back", "reversed_on": "2026-03-02"}, 200)
    assert (await world.read(invoice))["status"] == "issued"


async def test_void(world: Any) -> None:
    invoice = await world.invoice()
    await world.post(f"/v1/invoices/{invoice['id']}/disputes", {"reason": "not ordered"})
    await world.events()
    voided = await world.post(f"/v1/invoices/{invoice['id']}/void", {"reason": "issued twice"}, 200)
    assert (voided["status"], voided["balance_minor"], voided["disputed_minor"]) == ("void", 0, 0)
    resolved, event = await world.events()
    assert isinstance(resolved, DisputeResolved)
    assert isinstance(event, InvoiceVoided)
    assert (event.reason, event.invoice.status) == ("issued twice", "void")
    for path, body in (("void", {"reason": "again"}), ("hold", {"reason": "x"}), ("disputes", {"reason": "x"})):
        problem = await world.post(f"/v1/invoices/{invoice['id']}/{path}", body, 409)
        assert problem["type"] == "urn:remit:problem:invoice-void"


async def test_void_is_refused_while_money_is_on_it(world: Any) -> None:
    invoice = await world.invoice()
    await world.pay(invoice, 1)
    problem = await world.post(f"/v1/invoices/{invoice['id']}/void", {"reason": "wrong"}, 409)
    assert problem["type"] == "urn:remit:problem:invoice-has-payments"
    assert "reverse" in problem["detail"]


async def test_draft_is_edited_issued_and_then_final(world: Any) -> None:
    customer = await world.customer()
    draft = await world.invoice(customer, draft=True, issue_date=None, due_date=None)
    assert (draft["status"], draft["number"], draft["issued_at"]) == ("draft", None, None)
    assert (await world.client.put(f"/v1/invoices/{draft['id']}", json={})).status_code == 422
    body = {"customer_id": customer["id"], "amount_minor": 12_000, "currency": "EUR", "due_date": "2026-03-30"}
    url = f"/v1/invoices/{draft['id']}"
    assert (await world.client.put(url, json=body | {"draft": True})).status_code == 428
    stale = await world.client.put(url, json=body | {"draft": True}, headers={"If-Match": '"7"'})
    assert stale.status_code == 412
    edited = await world.client.put(url, json=body | {"draft": True}, headers={"If-Match": '"0"'})
    assert (edited.status_code, edited.json()["total_minor"], edited.headers["etag"]) == (200, 12_000, '"1"')
    await world.events()
    issued = await world.post(f"{url}/issue", None, 200)
    assert (issued["status"], issued["issue_date"], issued["number"]) == ("issued", "2026-03-02", "R-000001")
    assert await world.event_names() == ["InvoiceIssued"]
    again = await world.post(f"{url}/issue", {}, 409)
    assert again["type"] == "urn:remit:problem:invoice-already-issued"
    final = await world.client.put(url, json=body | {"amount_minor": 1}, headers={"If-Match": '"2"'})
    assert final.status_code == 409
    assert final.json()["type"] == "urn:remit:problem:invoice-final"
    assert final.json()["errors"][0]["pointer"] == "/amount_minor"
    assert (await world.client.delete(url)).status_code == 409


async def test_draft_is_deleted_not_voided(world: Any) -> None:
    draft = await world.invoice(draft=True)
    problem = await world.post(f"/v1/invoices/{draft['id']}/void", {"reason": "x"}, 409)
    assert problem["type"] == "urn:remit:problem:invoice-not-issued"
    assert (await world.client.delete(f"/v1/invoices/{draft['id']}")).status_code == 204
    await world.get(f"/v1/invoices/{draft['id']}", 404)


async def test_put_by_external_id(world: Any) -> None:
    customer = await world.customer()
    url = "/v1/invoices/by-external-id/erp-9"
    body = {
        "customer_id": customer["id"],
        "number": "N-9",
        "amount_minor": 500,
        "currency": "EUR",
        "issue_date": "2026-03-01",
    }
    draft = await world.client.put(url, json=body | {"draft": True})
    assert (draft.status_code, draft.json()["status"]) == (201, "draft")
    made = await world.client.put(url, json=body)
    assert (made.status_code, made.json()["status"], made.json()["id"]) == (200, "issued", draft.json()["id"])
    await world.events()
    same = await world.client.put(url, json=body)
    assert (same.status_code, same.json()["version"]) == (200, made.json()["version"])
    other = await world.client.put(url, json=body | {"amount_minor": 501})
    assert other.status_code == 409
    assert await world.events() == []
    assert (await world.get(url))["id"] == made.json()["id"]


async def test_hold_and_release(world: Any) -> None:
    invoice = await world.invoice()
    await world.events()
    held = await world.post(f"/v1/invoices/{invoice['id']}/hold", {"reason": "order", "until": "2026-03-10"}, 200)
    assert held["hold"] == {"reason": "order", "until": "2026-03-10"}
    released = await world.post(f"/v1/invoices/{invoice['id']}/release", {"reason": "order came"}, 200)
    assert released["hold"] is None
    held_event, released_event = await world.events()
    assert held_event.invoice.hold.until.isoformat() == "2026-03-10"
    assert (released_event.reason, released_event.invoice.hold) == ("order came", None)
    problem = await world.post(f"/v1/invoices/{invoice['id']}/release", {"reason": "again"}, 409)
    assert problem["type"] == "urn:remit:problem:not-held"
    past = await world.post(f"/v1/invoices/{invoice['id']}/hold", {"reason": "x", "until": "2026-03-01"}, 422)
    assert past["errors"][0]["pointer"] == "/until"


async def test_customer_hold_carries_the_customer(world: Any) -> None:
    customer = await world.customer()
    await world.events()
    held = await world.post(f"/v1/customers/{customer['id']}/hold", {"reason": "talks"}, 200)
    assert held["hold"] == {"reason": "talks", "until": None}
    await world.post(f"/v1/customers/{customer['id']}/release", {"reason": "done"}, 200)
    one, two = await world.events()
    assert (one.customer.hold.reason, one.customer.version, two.customer.hold, two.customer.version) == (
        "talks",
        2,
        None,
        3,
    )
    await world.post(f"/v1/customers/{customer['id']}/release", {"reason": "again"}, 409)


async def test_promise_kept_by_payment(world: Any) -> None:
    invoice = await world.invoice()
    made = await world.post(f"/v1/invoices/{invoice['id']}/promises", {"on": "2026-03-06", "amount_minor": 6_000})
    # Friday and one business day of grace, to the end of Monday in Berlin.
    assert (made["grace_until"], made["expires_at"], made["status"]) == (
        "2026-03-09",
        "2026-03-09T23:00:00Z",
        "running",
    )
    await world.events()
    await world.pay(invoice, 5_000)
    assert (await world.read(invoice))["promise"]["id"] == made["id"]
    await world.pay(invoice, 1_000)
    assert (await world.read(invoice))["promise"] is None
    assert await world.event_names() == ["PaymentReceived", "PaymentReceived", "PromiseKept"]
    [kept] = (await world.get(f"/v1/invoices/{invoice['id']}/promises"))["data"]
    assert (kept["status"], kept["paid_minor"]) == ("kept", 6_000)


async def test_promise_is_replaced_and_cancelled_by_void(world: Any) -> None:
    invoice = await world.invoice()
    url = f"/v1/invoices/{invoice['id']}/promises"
    await world.post(url, {"on": "2026-03-06"})
    await world.post(url, {"on": "2026-03-20"})
    await world.post(f"/v1/invoices/{invoice['id']}/void", {"reason": "wrong"}, 200)
    assert [one["status"] for one in (await world.get(url))["data"]] == ["replaced", "cancelled"]


async def test_promise_that_cannot_be(world: Any) -> None:
    invoice = await world.invoice()
    url = f"/v1/invoices/{invoice['id']}/promises"
    assert (await world.post(url, {"on": "2026-03-01"}, 422))["errors"][0]["pointer"] == "/on"
    assert (await world.post(url, {"on": "2026-03-09", "amount_minor": 10_001}, 422))["errors"][0]["pointer"] == (
        "/amount_minor"
    )
    await world.pay(invoice, 10_000)
    assert (await world.post(url, {"on": "2026-03-09"}, 409))["type"] == "urn:remit:problem:invoice-paid"


async def test_reversal_takes_money_back_from_a_running_promise(world: Any) -> None:
    invoice = await world.invoice()
    await world.post(f"/v1/invoices/{invoice['id']}/promises", {"on": "2026-03-06", "amount_minor": 6_000})
    payment = await world.pay(invoice, 5_000)
    await world.post(f"/v1/payments/{payment['id']}/reverse", {"reason": "bounced"}, 200)
    await world.pay(invoice, 5_000)
    assert (await world.read(invoice))["promise"] is not None
