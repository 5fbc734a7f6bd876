"""Disputes: of a part, of the whole, from the issue; which are open and which are late."""

from __future__ import annotations

from typing import Any

from remit_events.invoices import DisputeOpened, InvoiceIssued


async def test_dispute_of_a_part_and_of_the_whole(world: Any) -> None:
    invoice = await world.invoice()
    await world.events()
    part = await world.post(f"/v1/invoices/{invoice['id']}/disputes", {"reason": "damaged", "amount_minor": 3_000})
    assert (part["status"], part["whole"], part["amount_minor"]) == ("open", False, 3_000)
    whole = await world.post(
        f"/v1/invoices/{invoice['id']}/disputes", {"reason": "all of it", "deadline": "2026-04-01"}
    )
    assert (await world.read(invoice))["disputed_minor"] == 10_000
    again = await world.post(f"/v1/invoices/{invoice['id']}/disputes", {"reason": "more"}, 409)
    assert again["type"] == "urn:remit:problem:dispute-open"
    await world.post(f"/v1/disputes/{whole['id']}/resolve", {"outcome": "rejected"}, 200)
    assert (await world.read(invoice))["disputed_minor"] == 3_000
    await world.pay(invoice, 8_000)
    assert (await world.read(invoice))["disputed_minor"] == 2_000
    done = await world.post(f"/v1/disputes/{part['id']}/resolve", {"outcome": "withdrawn"}, 200)
    assert (done["status"], done["outcome"]) == ("resolved", "withdrawn")
    repeated = await world.post(f"/v1/disputes/{part['id']}/resolve", {"outcome": "withdrawn"}, 409)
    assert repeated["type"] == "urn:remit:problem:dispute-resolved"
    events = await world.events()
    opened = [event for event in events if isinstance(event, DisputeOpened)]
    assert [(event.amount_minor, event.invoice.disputed_minor) for event in opened] == [
        (3_000, 3_000),
        (10_000, 10_000),
    ]
    assert [event.invoice.version for event in events if hasattr(event, "invoice")] == [2, 3, 4, 6]
    assert len((await world.get(f"/v1/invoices/{invoice['id']}/disputes"))["data"]) == 2


async def test_dispute_of_more_than_is_undisputed(world: Any) -> None:
    invoice = await world.invoice()
    path = f"/v1/invoices/{invoice['id']}/disputes"
    await world.post(path, {"reason": "a", "amount_minor": 6_000})
    problem = await world.post(path, {"reason": "b", "amount_minor": 4_001}, 422)
    assert problem["errors"][0]["pointer"] == "/amount_minor"
    assert "Only 4000 " in problem["errors"][0]["detail"]
    await world.pay(invoice, 9_000)
    problem = await world.post(path, {"reason": "c", "amount_minor": 1}, 422)
    assert "Only 0 " in problem["errors"][0]["detail"]


async def test_disputed_from_issue(world: Any) -> None:
    invoice = await world.invoice(disputed=True)
    assert (invoice["disputed_minor"], invoice["version"]) == (10_000, 2)
    _customer, issued, opened = await world.events()
    assert isinstance(issued, InvoiceIssued)
    assert isinstance(opened, DisputeOpened)
    assert (issued.invoice.version, issued.invoice.disputed_minor) == (1, 0)
    assert (opened.invoice.version, opened.invoice.disputed_minor, opened.amount_minor) == (2, 10_000, 10_000)


async def test_those_of_all_invoices_are_listed_with_their_deadlines(world: Any) -> None:
    first, second = await world.invoice(), await world.invoice()
    late, later, done = [
        await world.post(f"/v1/invoices/{one['id']}/disputes", {"reason": "x", "amount_minor": 1, "deadline": deadline})
        for one, deadline in ((first, "2026-03-10"), (second, "2026-03-20"), (second, None))
    ]
    await world.post(f"/v1/disputes/{done['id']}/resolve", {"outcome": "withdrawn"}, 200)

    async def found(**params: Any) -> list[str]:
        return [one["id"] for one in (await world.get("/v1/disputes", **params))["data"]]

    assert await found() == [late["id"], later["id"], done["id"]]
    assert await found(status="open", deadline_before="2026-03-20") == [late["id"]]
    assert await found(status="resolved") == [done["id"]]
    assert await found(customer=second["customer_id"]) == [later["id"], done["id"]]
    page = await world.get("/v1/disputes", limit=2)
    assert await found(limit=2, cursor=page["next_cursor"]) == [done["id"]]
