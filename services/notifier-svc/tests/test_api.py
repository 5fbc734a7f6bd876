"""The routes: what is shown of deliveries, and the few things a person may do with them."""

from __future__ import annotations

from base64 import b64decode
from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio
from remit_testing.notifier import World
from remit_testing.notifier_samples import demand_terms
from remit_testing.service import SellerClient, client_for, internal_client
from uuid6 import uuid7

from remit_events.notifications import ReminderFailed, ReminderSent
from remit_events.state import Channel, Stage

EVERY = (Channel.EMAIL, Channel.SMS, Channel.LETTER)


@pytest_asyncio.fixture(loop_scope="session")
async def client(world: World) -> Any:
    await world.settle()
    async with await client_for(world.service, seller=world.seller) as made:
        yield made


async def sent(world: World, **given: Any) -> Any:
    customer = await world.customer()
    touch = await world.remind(customer, world.invoice(customer), **given)
    await world.settle()
    return touch


async def test_what_was_sent_is_listed_and_found(world: World, client: SellerClient) -> None:
    touch = await sent(world, channels=EVERY)
    await sent(world)
    listed = (await client.get("/v1/deliveries")).json()["data"]
    assert len(listed) == 4
    first = next(one for one in listed if one["channel"] == "email")
    assert first["status"] == "sent"
    assert first["items"][0]["amount_minor"] == 11900
    assert (first["stage"], first["step"], first["tone"], first["language"]) == ("overdue", "second", "neutral", "en")
    assert first["subject"]
    assert first["provider"] == "mailbox"
    item = touch.items[0].invoice
    filters = {
        "status": "sent",
        "customer": str(touch.customer_id),
        "invoice": str(item.id),
        "touch": str(touch.touch_id),
    }
    for name, value in filters.items():
        found = (await client.get("/v1/deliveries", params={name: value})).json()["data"]
        assert len(found) == (4 if name == "status" else 3), name
    for name, value in {"customer": first["customer_external_id"], "invoice": item.number}.items():
        assert len((await client.get("/v1/deliveries", params={name: value})).json()["data"]) == 3
    for params in ({"status": "failed"}, {"customer": "nobody"}, {"invoice": "none"}, {"stage": "demand"}):
        assert (await client.get("/v1/deliveries", params=params)).json()["data"] == []


async def test_pages_follow_each_other_both_ways(world: World, client: SellerClient) -> None:
    for _ in range(5):
        await sent(world)
    for newest_first in (False, True):
        ids: list[str] = []
        cursor = None
        while True:
            params = {"limit": 2, "newest_first": newest_first} | ({"cursor": cursor} if cursor else {})
            page = (await client.get("/v1/deliveries", params=params)).json()
            ids += [one["id"] for one in page["data"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert ids == sorted(ids, reverse=newest_first)
        assert len(ids) == 5


async def test_the_message_is_kept_as_it_left(world: World, client: SellerClient) -> None:
    await sent(world, channels=EVERY)
    for one in (await client.get("/v1/deliveries")).json()["data"]:
        shown = (await client.get(f"/v1/deliveries/{one['id']}/content")).json()
        assert shown["subject"] == one["subject"]
        assert "119.00" in shown["text"]
        assert "STOP" in shown["sms"]
        letter = await client.get(f"/v1/deliveries/{one['id']}/letter")
        assert letter.headers["content-type"] == "application/pdf"
        assert letter.content == b64decode(shown["letter_base64"])
        assert letter.content.startswith(b"%PDF-")


async def test_what_has_no_words_yet_says_so(world: World, client: SellerClient) -> None:
    world.peers.invoice_svc_down = True
    await sent(world)
    [one] = (await client.get("/v1/deliveries")).json()["data"]
    assert (one["status"], one["subject"], one["held_by"]) == ("pending", None, "unanswered: invoice-svc")
    answer = await client.get(f"/v1/deliveries/{one['id']}/content")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:remit:problem:not-rendered")


async def unknown(world: World) -> str:
    await sent(world)
    await world.execute("UPDATE delivery SET status = 'unknown'")
    await world.execute("DELETE FROM outbox")
    [row] = await world.rows("SELECT id FROM delivery")
    return str(row.id)


async def test_a_person_settles_what_nobody_knows(world: World, client: SellerClient) -> None:
    one = await unknown(world)
    body = {"outcome": "sent", "by": "Mara Lind", "note": "confirmed by phone"}
    answer = await client.post(f"/v1/deliveries/{one}/resolve", json=body)
    assert (answer.status_code, answer.json()["status"]) == (200, "sent")
    assert answer.json()["note"] == "Mara Lind: confirmed by phone"
    assert len(await world.told(ReminderSent)) == 1
    again = await client.post(f"/v1/deliveries/{one}/resolve", json=body)
    assert (again.status_code, again.json()["type"]) == (409, "urn:remit:problem:not-unknown")


async def test_a_person_finds_that_it_was_not_sent(world: World, client: SellerClient) -> None:
    one = await unknown(world)
    body = {"outcome": "not_sent", "by": "Mara Lind", "note": "not in the outbox of the server"}
    answer = await client.post(f"/v1/deliveries/{one}/resolve", json=body)
    assert (answer.json()["status"], answer.json()["error_class"]) == ("failed", "not-sent")
    assert [event.touch_failed for event in await world.told(ReminderFailed)] == [True]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/outcome"),
        ({"outcome": "maybe", "by": "x", "note": "y"}, "/outcome"),
        ({"outcome": "sent", "by": "", "note": "y"}, "/by"),
        ({"outcome": "sent", "by": "x", "note": "y\x00"}, "/note"),
        ({"outcome": "sent", "by": "x", "note": "y", "more": 1}, "/more"),
    ],
)
async def test_a_resolution_that_says_nothing_is_refused(
    world: World, client: SellerClient, body: dict[str, Any], pointer: str
) -> None:
    one = await unknown(world)
    answer = await client.post(f"/v1/deliveries/{one}/resolve", json=body)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


async def test_a_seller_sees_only_their_own(world: World, client: SellerClient) -> None:
    await sent(world)
    [one] = (await client.get("/v1/deliveries")).json()["data"]
    async with await client_for(world.service) as other:
        assert (await other.get("/v1/deliveries")).json()["data"] == []
        for path in ("", "/content", "/letter"):
            assert (await other.get(f"/v1/deliveries/{one['id']}{path}")).status_code == 404
        body = {"outcome": "sent", "by": "x", "note": "y"}
        assert (await other.post(f"/v1/deliveries/{one['id']}/resolve", json=body)).status_code == 404


async def test_keys_and_scopes_are_asked_for(world: World, client: SellerClient) -> None:
    routes = [
        ("GET", "/v1/deliveries"),
        ("GET", f"/v1/deliveries/{uuid7()}"),
        ("POST", f"/v1/deliveries/{uuid7()}/resolve"),
        ("GET", "/v1/templates"),
        ("POST", "/v1/templates/preview"),
        ("GET", "/v1/suppressions"),
        ("GET", "/v1/replies"),
        ("GET", f"/v1/replies/{uuid7()}"),
        ("POST", "/v1/suppressions"),
        ("DELETE", f"/v1/suppressions/{uuid7()}"),
        ("GET", "/v1/live-mode"),
        ("PUT", "/v1/live-mode"),
        ("POST", "/v1/providers/check"),
        ("POST", "/v1/providers/test"),
    ]
    async with await client_for(world.service, scopes=("invoices:read",)) as weak:
        for method, path in routes:
            assert (await weak.request(method, path)).status_code == 403, path
            answer = await client.request(method, path, headers={"Authorization": "Bearer rk_wrong"})
            assert answer.status_code == 401, path


async def planned(world: World, **given: Any) -> dict[str, Any]:
    customer = await world.customer(language="de")
    invoice = world.invoice(customer)
    await world.settle()
    item = {"invoice_id": str(invoice.id), "number": invoice.number, "amount_minor": 11900, "currency": "EUR"}
    body = {
        "at": "2026-03-03T08:00:00Z",
        "customer_id": str(customer.id),
        "customer_name": customer.name,
        "stage": "overdue",
        "step": "second",
        "tone": "firm",
        "channels": ["email", "sms", "letter"],
        "template": "second",
        "policy_key": "business",
        "policy_version": 3,
        "items": [item | {"step": "second", "days_overdue": 11}],
    }
    return body | given


async def test_a_planned_message_is_shown_as_it_would_read(world: World, client: SellerClient) -> None:
    body = await planned(world)
    answer = await client.post("/v1/templates/preview", json=body)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert shown["language"].startswith("de")
    assert body["items"][0]["number"] in shown["subject"] + shown["text"]
    assert "119,00" in shown["text"]
    assert shown["sms"]
    assert b64decode(shown["letter_base64"]).startswith(b"%PDF-")
    assert await world.rows("SELECT * FROM touch") == []
    keyed = await client.post("/v1/templates/preview", json=body, headers={"Idempotency-Key": "k1"})
    assert keyed.status_code == 200


async def test_another_service_may_ask_for_a_preview_of_a_demand(world: World, client: SellerClient) -> None:
    demand = demand_terms().model_dump(mode="json")
    body = await planned(world, stage="demand", step="formal-demand", tone="final", demand=demand, channels=["letter"])
    async with internal_client(world.service, world.seller.id) as service:
        answer = await service.post("/v1/templates/preview", json=body)
    assert answer.status_code == 200, answer.text
    assert "16" in answer.json()["text"]


async def test_what_waits_is_what_a_preview_takes(world: World, client: SellerClient) -> None:
    world.peers.invoice_svc_down = True
    await sent(world, stage=Stage.DEMAND, step="formal-demand", demand=demand_terms())
    [waits] = (await client.get("/v1/deliveries", params={"status": "pending"})).json()["data"]
    world.peers.invoice_svc_down = False
    body = waits | {"at": waits["next_attempt_at"], "channels": [waits["channel"]]}
    answer = await client.post("/v1/templates/preview", json=body)
    assert answer.status_code == 200, answer.text
    assert waits["items"][0]["number"] in answer.json()["text"]


@pytest.mark.parametrize("stage", [Stage.UPCOMING, Stage.OVERDUE])
async def test_what_leaves_is_what_the_preview_showed(world: World, client: SellerClient, stage: Stage) -> None:
    world.peers.invoice_svc_down = True
    await sent(world, stage=stage, channels=EVERY)
    [waits, *_] = (await client.get("/v1/deliveries", params={"status": "pending"})).json()["data"]
    world.peers.invoice_svc_down = False
    body = waits | {"at": waits["next_attempt_at"], "channels": [channel.value for channel in EVERY]}
    shown = (await client.post("/v1/templates/preview", json=body)).json()
    world.clock.set(datetime.fromisoformat(waits["next_attempt_at"]))
    await world.settle()
    left = (await client.get(f"/v1/deliveries/{waits['id']}/content")).json()
    assert "mailto:accounts@nordlicht.example?subject=unsubscribe" in left["text"]
    assert shown == left


async def test_a_preview_of_an_impossible_payment_is_refused_shortly(world: World, client: SellerClient) -> None:
    payment = {"reference": "x", "received_on": "2026-03-02", "amount_minor": 1, "currency": "EUR"}
    body = (await planned(world)) | {"stage": "thanks"}
    for name, bad in (("currency", "x" * 10_000), ("reference", "x" * 201), ("amount_minor", 10**20)):
        answer = await client.post("/v1/templates/preview", json=body | {"payment": payment | {name: bad}})
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"/payment/{name}"]
        assert len(answer.content) < 1_000


async def test_a_preview_of_what_is_not_there_is_refused(world: World, client: SellerClient) -> None:
    body = await planned(world)
    unknown_customer = body | {"customer_id": str(uuid7())}
    assert (await client.post("/v1/templates/preview", json=unknown_customer)).status_code == 404
    other = body | {"items": [{"invoice_id": str(uuid7())}]}
    answer = await client.post("/v1/templates/preview", json=other)
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/items/0/invoice_id"]
    assert (await client.post("/v1/templates/preview", json=body | {"stage": "demand"})).status_code == 422
    world.peers.invoice_svc_down = True
    assert (await client.post("/v1/templates/preview", json=body)).status_code == 503


async def test_templates_are_listed(client: SellerClient) -> None:
    data = (await client.get("/v1/templates")).json()["data"]
    assert {entry["language"] for entry in data} >= {"en", "de", "fr"}
    assert {entry["stage"] for entry in data} == {stage.value for stage in Stage}


async def test_every_operation_is_documented(client: SellerClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation.get("tags"), f"{method} {path}"
            assert any(status.startswith("4") for status in operation["responses"]), f"{method} {path}"
