"""What may be issued: numbers and external ids that are free, and dates that have come."""

from __future__ import annotations

from typing import Any

from remit_testing.import_rows import row, take

BODY = {"amount_minor": 500, "currency": "EUR"}


async def test_one_that_is_taken_leaves_its_neighbours_alone(world: Any) -> None:
    customer = await world.customer()
    base = BODY | {"customer_id": customer["id"]}
    await world.post("/v1/invoices", base | {"number": "T-1"})
    await world.post("/v1/invoices", base | {"external_id": "erp-1", "draft": True})
    batch = [base | {"number": "T-1"}, base | {"external_id": "erp-1"}, base, base | {"number": "T-2"}]
    answer = await world.post("/v1/invoices/batch", {"invoices": batch}, 200)
    assert [one["status"] for one in answer["results"]] == [409, 409, 201, 201]


async def test_a_draft_without_a_number_is_rewritten_by_its_external_id(world: Any) -> None:
    customer = await world.customer()
    url = "/v1/invoices/by-external-id/erp-7"
    body = BODY | {"customer_id": customer["id"], "draft": True}
    assert (await world.client.put(url, json=body)).status_code == 201
    edited = await world.client.put(url, json=body | {"amount_minor": 700})
    assert (edited.status_code, edited.json()["total_minor"]) == (200, 700)


async def test_what_is_dated_ahead_is_not_issued_yet(own_world: Any) -> None:
    world = own_world
    customer = await world.customer()
    body = BODY | {"customer_id": customer["id"], "issue_date": "2026-03-04"}
    await world.events()
    refused = await world.post("/v1/invoices", body, 422)
    assert (refused["errors"][0]["pointer"], refused["errors"][0]["code"]) == ("/issue_date", "in_future")
    draft = await world.post("/v1/invoices", body | {"draft": True})
    for way in (None, {"issue_date": "2026-03-05"}):
        early = await world.post(f"/v1/invoices/{draft['id']}/issue", way, 422)
        assert early["errors"][0]["pointer"] == "/issue_date"
    assert await world.event_names() == []
    [status], summary = await take(world, row(2, issue_date="2026-03-04", due_date=None))
    assert (status, summary["results"][0]["problem"]["errors"][0]["code"]) == ("rejected", "in_future")
    world.clock.set(world.clock.now().replace(day=4))
    assert (await world.post(f"/v1/invoices/{draft['id']}/issue", None, 200))["issue_date"] == "2026-03-04"
    assert (await take(world, row(2, issue_date="2026-03-04", due_date=None)))[0] == ["created"]


async def test_an_invoice_bears_its_sellers_date(world: Any) -> None:
    """In Honolulu it is still the first of March."""
    far_west = await world.customer(country="US", timezone="Pacific/Honolulu")
    made = await world.invoice(far_west, issue_date="2026-03-02")
    assert (made["status"], made["issue_date"]) == ("issued", "2026-03-02")
