"""Routes that close and open: addresses by hand, live mode by name, and trying the providers."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio
from remit_testing.notifier import World
from remit_testing.service import SellerClient, client_for
from uuid6 import uuid7

from remit_events.invoices import SellerChanged
from remit_events.notifications import ContactRestored, ContactSuppressed, ReminderFailed
from remit_events.state import Channel


@pytest_asyncio.fixture(loop_scope="session")
async def client(world: World) -> Any:
    await world.settle()
    async with await client_for(world.service, seller=world.seller) as made:
        yield made


async def test_addresses_are_closed_and_opened_by_hand(world: World, client: SellerClient) -> None:
    customer = await world.customer()
    await world.settle()
    body = {"channel": "email", "address": customer.email.upper(), "reason": "asked by phone"}  # type: ignore[union-attr]
    made = await client.post("/v1/suppressions", json=body)
    assert (made.status_code, made.json()["kind"]) == (201, "full")
    [closed] = await world.told(ContactSuppressed)
    assert (closed.customer_id, closed.reason) == (customer.id, "asked by phone")
    assert (await client.post("/v1/suppressions", json=body)).status_code == 409
    by_customer = {"channel": "sms", "customer_id": str(customer.id)}
    assert (await client.post("/v1/suppressions", json=by_customer)).status_code == 201
    listed = (await client.get("/v1/suppressions", params={"channel": "email", "address": customer.email})).json()
    assert [one["id"] for one in listed["data"]] == [made.json()["id"]]
    by_address = {customer.email: ["email"], customer.phone: ["sms"], "nobody@x.example": []}
    for address, channels in by_address.items():
        alone = (await client.get("/v1/suppressions", params={"address": address})).json()["data"]
        assert [one["channel"] for one in alone] == channels
    touch = await world.remind(customer, world.invoice(customer), channels=(Channel.EMAIL, Channel.SMS))
    await world.settle()
    assert [event.touch_id for event in await world.told(ReminderFailed)] == [touch.touch_id]
    assert (await client.delete(f"/v1/suppressions/{made.json()['id']}")).status_code == 204
    assert (await client.delete(f"/v1/suppressions/{made.json()['id']}")).status_code == 404
    assert [event.customer_id for event in await world.told(ContactRestored)] == [customer.id]


@pytest.mark.parametrize(
    "body",
    [
        {"channel": "email"},
        {"channel": "email", "address": "x@y.example", "customer_id": str(uuid7())},
        {"channel": "fax", "address": "x"},
        {"channel": "sms", "address": "+49301", "kind": "courtesy"},
    ],
)
async def test_a_suppression_of_nothing_is_refused(client: SellerClient, body: dict[str, Any]) -> None:
    assert (await client.post("/v1/suppressions", json=body)).status_code == 422


async def test_live_mode_is_switched_by_hand_and_by_name(world: World, client: SellerClient) -> None:
    assert (await client.get("/v1/live-mode")).json()["on"] is False
    body = {"on": True, "by": "Mara Lind", "seller_name": "Nordlicht"}
    assert (await client.put("/v1/live-mode", json=body)).status_code == 422
    body["seller_name"] = "Nordlicht GmbH"
    shown = (await client.put("/v1/live-mode", json=body)).json()
    assert (shown["on"], shown["mode"], shown["sends_for_real"], shown["by"]) == (True, "mailbox", False, "Mara Lind")
    assert (await client.put("/v1/live-mode", json={"on": False, "by": "x"})).json()["on"] is False


async def test_an_unready_seller_cannot_go_live(world: World, client: SellerClient) -> None:
    poor = client.seller.model_copy(update={"version": 99, "iban": None, "reply_to": None})
    await world.publish(SellerChanged(seller_id=poor.id, seller=poor))
    await world.settle()
    answer = await client.put("/v1/live-mode", json={"on": True, "by": "x", "seller_name": poor.name})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:remit:problem:seller-not-ready")
    assert answer.json()["missing"] == ["reply_to", "a way to pay (iban or payment_link)"]


async def test_providers_are_tried(client: SellerClient) -> None:
    checks = (await client.post("/v1/providers/check")).json()["data"]
    assert [(one["provider"], one["ok"]) for one in checks] == [("mailbox", True)]
    answer = await client.post("/v1/providers/test", json={"to": "me@nordlicht.example"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:remit:problem:provider-not-configured")
