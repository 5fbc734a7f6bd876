"""Sellers, keys, and the walls between sellers."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
from remit_testing.service import client_for, internal_client

from invoice_svc.bootstrap import ensure_seller
from remit_service.sellers import get_seller

SELLER = {"name": "Nordlicht Studio", "country": "DE", "language": "de", "iban": "de89 3704 0044 0532 0130 00"}


async def test_read_and_replace(world: Any) -> None:
    answer = await world.client.get("/v1/sellers/me")
    assert answer.json()["id"] == str(world.client.seller.id)
    assert "keys" not in answer.json()
    assert (await world.client.put("/v1/sellers/me", json=SELLER)).status_code == 428
    tag = answer.headers["etag"]
    changed = await world.client.put("/v1/sellers/me", json=SELLER, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["iban"]) == (200, "DE89370400440532013000")
    assert (await world.client.put("/v1/sellers/me", json=SELLER, headers={"If-Match": tag})).status_code == 412
    [event] = await world.events()
    assert (event.seller.name, event.seller.version, len(event.seller.keys)) == ("Nordlicht Studio", 2, 1)
    assert event.partition_key() == world.client.seller.id
    same = await world.client.put(
        f"/v1/sellers/{world.client.seller.id}", json=SELLER, headers={"If-Match": changed.headers["etag"]}
    )
    assert same.headers["etag"] == changed.headers["etag"]
    assert await world.events() == []


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"iban": "DE89370400440532013001"}, "/iban"),
        ({"bic": "nope"}, "/bic"),
        ({"payment_link": "http://pay.example"}, "/payment_link"),
        ({"payment_link": "javascript:alert(1)"}, "/payment_link"),
        ({"sender_email": "nobody"}, "/sender_email"),
        ({"sms_from": "far too long a name"}, "/sms_from"),
        ({"keys": []}, "/keys"),
        ({"version": 9}, "/version"),
    ],
)
async def test_what_a_seller_cannot_be(world: Any, change: dict[str, Any], pointer: str) -> None:
    answer = await world.client.put("/v1/sellers/me", json=SELLER | change, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_a_key_is_shown_once_works_and_is_revoked(world: Any) -> None:
    made = await world.post("/v1/api-keys", {"name": "books", "scopes": ["invoices:read", "events:read"]})
    assert made["key"].startswith("rk_")
    [event] = await world.events()
    assert made["key"] not in event.model_dump_json()
    listed = await world.get("/v1/api-keys")
    assert made["key"] not in str(listed)
    assert [one["name"] for one in listed["data"]] == ["test", "books"]
    transport = httpx.ASGITransport(world.service.app)
    headers = {"Authorization": f"Bearer {made['key']}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://remit.test", headers=headers) as client:
        assert (await client.get("/v1/invoices")).status_code == 200
        assert (await client.get("/v1/api-keys")).status_code == 403
        assert (await world.client.delete(f"/v1/api-keys/{made['id']}")).status_code == 204
        assert (await client.get("/v1/invoices")).status_code == 401
    assert (await world.client.delete(f"/v1/api-keys/{made['id']}")).status_code == 204
    assert (await world.client.delete(f"/v1/api-keys/{uuid4()}")).status_code == 404
    own = listed["data"][0]["id"]
    assert (await world.client.delete(f"/v1/api-keys/{own}")).json()["type"] == "urn:remit:problem:key-in-use"
    assert [key.revoked for key in (await world.events())[-1].seller.keys] == [False, True]


async def test_nobody_gives_away_more_than_they_have(world: Any) -> None:
    unknown = await world.post("/v1/api-keys", {"name": "x", "scopes": ["invoices:read", "all"]}, 422)
    assert unknown["errors"][0]["pointer"] == "/scopes/1"
    await world.post("/v1/api-keys", {"name": "x", "scopes": ["internal"]}, 422)
    async with await client_for(world.service, scopes=("keys:write", "invoices:read")) as small:
        assert (await small.post("/v1/api-keys", json={"name": "x", "scopes": ["*"]})).status_code == 403
        assert (await small.post("/v1/api-keys", json={"name": "x", "scopes": ["invoices:write"]})).status_code == 403
        assert (await small.post("/v1/api-keys", json={"name": "x", "scopes": ["invoices:read"]})).status_code == 201


async def test_a_seller_sees_nothing_of_another(world: Any, stranger: Any) -> None:
    customer = await world.customer(external_id="SECRET-1", email="secret@x.example")
    invoice = await world.invoice(customer, number="SECRET-2", external_id="SECRET-3")
    payment = await world.pay(invoice, 10, reference="SECRET-4")
    dispute = await world.post(f"/v1/invoices/{invoice['id']}/disputes", {"reason": "SECRET-5"})
    run = await world.post("/v1/imports", {"file_name": "SECRET-6", "rows_total": 0})
    await world.events()
    i, c, p = f"/v1/invoices/{invoice['id']}", f"/v1/customers/{customer['id']}", f"/v1/payments/{payment['id']}"
    reads = [i, c, p, f"/v1/disputes/{dispute['id']}", f"/v1/imports/{run['id']}", f"/v1/imports/{run['id']}/rejected"]
    reads += [f"{i}/{what}" for what in ("timeline", "disputes", "promises", "payments")]
    reads += ["/v1/customers/by-external-id/SECRET-1", "/v1/invoices/by-external-id/SECRET-3"]
    reads += [f"/v1/sellers/{world.client.seller.id}"]
    for path in reads:
        assert (await stranger.get(path)).status_code == 404, path
    reason, match = {"reason": "x"}, {"If-Match": "*"}
    person = {"name": "x", "country": "DE"}
    bill = {"customer_id": customer["id"], "amount_minor": 1, "currency": "EUR"}
    money = {"amount_minor": 1, "currency": "EUR", "reference": "x"}
    writes = [
        *((f"{i}/{what}", reason) for what in ("hold", "release", "void", "disputes")),
        (f"{i}/promises", {"on": "2026-04-01"}),
        (f"{i}/issue", {}),
        *((f"{c}/{what}", reason) for what in ("hold", "release")),
        (f"{p}/reverse", reason),
        (f"/v1/disputes/{dispute['id']}/resolve", {"outcome": "x"}),
        (f"/v1/imports/{run['id']}/rows", {"rows": []}),
        (f"/v1/imports/{run['id']}/finish", {}),
        ("/v1/invoices", bill),
        ("/v1/payments", money | {"invoice_id": invoice["id"]}),
        ("/v1/payments", money | {"customer_id": customer["id"]}),
        ("/v1/payments", money | {"allocations": [{"invoice_id": invoice["id"], "amount_minor": 1}]}),
    ]
    for path, body in writes:
        assert (await stranger.post(path, json=body)).status_code == 404, path
    assert (await stranger.put(c, json=person, headers=match)).status_code == 404
    assert (await stranger.put(i, json=bill, headers=match)).status_code == 404
    assert (await stranger.delete(i)).status_code == 404
    seller = await stranger.put(f"/v1/sellers/{world.client.seller.id}", json={"name": "x"}, headers=match)
    assert seller.status_code == 404
    for path in ("/v1/customers", "/v1/invoices", "/v1/payments", "/v1/events", "/v1/api-keys"):
        assert "SECRET" not in (await stranger.get(path)).text
    balances = await stranger.post("/v1/balances", json={"invoice_ids": [invoice["id"]]})
    assert balances.json()["invoices"] == []
    assert await world.events() == []
    # The same external ids are free for somebody else.
    mine = await stranger.post("/v1/customers", json=person | {"external_id": "SECRET-1", "email": "secret@x.example"})
    assert mine.status_code == 201
    assert "the same" not in " ".join(mine.json()["notes"])


async def test_balances(world: Any) -> None:
    customer = await world.customer()
    invoice, draft = await world.invoice(customer), await world.invoice(customer, draft=True)
    await world.pay(invoice, 1_000)
    await world.post(f"/v1/customers/{customer['id']}/hold", {"reason": "talks"}, 200)
    body = {"invoice_ids": [invoice["id"], draft["id"], str(uuid4())]}
    answer = await world.post("/v1/balances", body, 200)
    assert answer["as_of"] == "2026-03-02T09:00:00Z"
    [state] = answer["invoices"]
    assert (state["id"], state["balance_minor"], state["version"], state["hold"]) == (invoice["id"], 9_000, 2, None)
    assert state["customer_hold"] == {"reason": "talks", "until": None}
    async with internal_client(world.service) as service:
        assert (await service.post("/v1/balances", json=body)).json() == answer
        assert (await service.get("/v1/invoices")).status_code == 403
        assert (await service.get(f"/v1/sellers/{world.client.seller.id}")).status_code == 200
    async with internal_client(world.service, uuid4()) as service:
        assert (await service.post("/v1/balances", json=body)).json()["invoices"] == []
    await world.post("/v1/balances", {"invoice_ids": [str(uuid4())] * 1001}, 422)


async def test_bootstrap_makes_one_seller_with_a_key(own_service: Any) -> None:
    made = await ensure_seller(own_service.db, own_service.clock, name="Nordlicht", key="rk_known-before", country="AT")
    assert made[1] == "rk_known-before"
    assert await ensure_seller(own_service.db, own_service.clock, name="Other") == (made[0], None)
    async with own_service.db.reading() as session:
        seller = await get_seller(session, made[0])
    assert (seller.name, seller.country, seller.keys[0].scopes) == ("Nordlicht", "AT", ("*",))
    headers = {"Authorization": "Bearer rk_known-before"}
    transport = httpx.ASGITransport(own_service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://remit.test", headers=headers) as client:
        assert (await client.get("/v1/sellers/me")).json()["name"] == "Nordlicht"
