"""Bad input: each a problem with type, field, value and the way out; nothing half done."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
from remit_testing.service import client_for

CUSTOMER = {"external_id": "C-1", "name": "Kessler", "country": "DE"}


async def refused(world: Any, path: str, body: Any, pointer: str, status: int = 422) -> Any:
    answer = await world.client.post(path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"].startswith("urn:remit:problem:")
    [error] = problem["errors"]
    assert error["pointer"] == pointer, problem
    assert error["detail"].endswith(".")
    return problem


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"nick": "x"}, "/nick"),
        ({"country": "Atlantis"}, "/country"),
        ({"country": "UK"}, "/country"),
        ({"country": ""}, "/country"),
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"timezone": "CET"}, "/timezone"),
        ({"email": "kessler(at)example.com"}, "/email"),
        ({"email": "a@b@c.example"}, "/email"),
        ({"email": "bill@x.example\r\nBcc: all@x.example"}, "/email"),
        ({"phone": "0301234"}, "/phone"),
        ({"phone": "+49"}, "/phone"),
        ({"profile": "charity"}, "/profile"),
        ({"language": "german"}, "/language"),
        ({"name": "x" * 201}, "/name"),
        ({"name": "  "}, "/name"),
        ({"name": "two\nlines"}, "/name"),
        ({"name": "bell\x07"}, "/name"),
        ({"external_id": None}, "/external_id"),
        ({"address": "x" * 1001}, "/address"),
        ({"policy_key": "No Spaces"}, "/policy_key"),
    ],
)
async def test_customer(world: Any, change: dict[str, Any], pointer: str) -> None:
    await refused(world, "/v1/customers", CUSTOMER | change, pointer)
    assert await world.events() == []


async def test_country_is_required(world: Any) -> None:
    await refused(world, "/v1/customers", {"external_id": "C-1", "name": "K"}, "/country")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"amount_minor": 0}, "/amount_minor"),
        ({"amount_minor": -5}, "/amount_minor"),
        ({"amount_minor": 10.5}, "/amount_minor"),
        ({"amount_minor": "100"}, "/amount_minor"),
        ({"amount_minor": 10**16}, "/amount_minor"),
        ({"currency": "EURO"}, "/currency"),
        ({"currency": "XXX"}, "/currency"),
        ({"due_date": "2026-13-01"}, "/due_date"),
        ({"due_date": "20260401"}, "/due_date"),
        ({"due_date": 1_775_000_000}, "/due_date"),
        ({"due_date": "9999-12-31"}, "/due_date"),
        ({"lines": []}, "/lines"),
        ({"number": "x" * 101}, "/number"),
        ({"number": "a\x00b"}, "/number"),
        ({"customer_id": "C-1"}, "/customer_id"),
    ],
)
async def test_invoice(world: Any, change: dict[str, Any], pointer: str) -> None:
    customer = await world.customer()
    await world.events()
    body = {"customer_id": customer["id"], "amount_minor": 100, "currency": "EUR", "issue_date": "2026-03-02"}
    await refused(world, "/v1/invoices", body | change, pointer)
    assert await world.events() == []


async def test_due_before_issue(world: Any) -> None:
    customer = await world.customer()
    body = {"customer_id": customer["id"], "amount_minor": 100, "currency": "EUR"}
    answer = await world.client.post("/v1/invoices", json=body | {"issue_date": "2026-03-02", "due_date": "2026-03-01"})
    assert answer.status_code == 422
    assert "due_date 2026-03-01 lies before issue_date 2026-03-02" in answer.json()["detail"]
    # The issue date is today's where none is given.
    await refused(world, "/v1/invoices", body | {"due_date": "2026-03-01"}, "/due_date")


async def test_duplicate_number_and_external_id(world: Any) -> None:
    await world.invoice(number="N-1", external_id="E-1")
    customer = await world.customer()
    body = {"customer_id": customer["id"], "amount_minor": 100, "currency": "EUR"}
    problem = await refused(world, "/v1/invoices", body | {"number": "N-1"}, "/number", 409)
    assert problem["type"] == "urn:remit:problem:duplicate-invoice"
    assert problem["errors"][0]["value"] == "N-1"
    await refused(world, "/v1/invoices", body | {"external_id": "E-1"}, "/external_id", 409)


async def test_duplicate_customer(world: Any) -> None:
    await world.post("/v1/customers", CUSTOMER)
    problem = await refused(world, "/v1/customers", CUSTOMER, "/external_id", 409)
    assert "PUT /v1/customers/by-external-id/C-1" in problem["detail"]


async def test_unknown_customer(world: Any) -> None:
    body = {"amount_minor": 100, "currency": "EUR"}
    await refused(world, "/v1/invoices", body | {"customer_id": str(uuid4())}, "/customer_id", 404)
    await refused(world, "/v1/invoices", body | {"customer_external_id": "nobody"}, "/customer_external_id", 404)
    answer = await world.client.post("/v1/invoices", json=body)
    assert (answer.status_code, "Name the customer" in answer.text) == (422, True)


async def test_ten_megabytes(world: Any) -> None:
    answer = await world.client.post("/v1/customers", content=b'{"name": "' + b"x" * 10_000_000 + b'"}')
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:remit:problem:body-too-large"


async def test_no_json_and_no_object(world: Any) -> None:
    headers = {"Content-Type": "application/json"}
    assert (await world.client.post("/v1/customers", content=b"{nope", headers=headers)).status_code == 400
    assert (await world.client.post("/v1/customers", json=[1])).status_code == 422
    surrogate = b'{"external_id": "x", "name": "\\ud800", "country": "DE"}'
    assert (await world.client.post("/v1/customers", content=surrogate, headers=headers)).status_code == 422


@pytest.mark.parametrize(
    "text", ["שלום עולם", "🧾" * 50, "Ünïcödé", "'; DROP TABLE invoice; --", "=cmd|' /C calc'!A0", "{{ 7*7 }}"]
)
async def test_any_printable_text_comes_back_as_it_was(world: Any, text: str) -> None:
    made = await world.customer(name=text, address=text)
    assert (await world.get(f"/v1/customers/{made['id']}"))["name"] == text


async def test_keys_and_scopes(world: Any) -> None:
    bare = httpx.AsyncClient(transport=httpx.ASGITransport(world.service.app), base_url="http://remit.test")
    assert (await bare.get("/v1/invoices")).json()["type"] == "urn:remit:problem:unauthenticated"
    wrong = await bare.get("/v1/invoices", headers={"Authorization": "Bearer rk_wrong"})
    assert (wrong.status_code, wrong.headers["www-authenticate"]) == (401, 'Bearer realm="remit"')
    async with await client_for(world.service, scopes=("invoices:read",)) as reader:
        assert (await reader.get("/v1/invoices")).status_code == 200
        refused_ = await reader.post("/v1/invoices", json={})
        assert (refused_.status_code, refused_.json()["scope"]) == (403, "invoices:write")
        assert (await reader.post("/v1/imports", json={})).status_code == 403
        assert (await reader.get("/v1/customers")).status_code == 403


async def test_bad_paths_and_parameters(world: Any) -> None:
    await world.get("/v1/invoices/not-a-uuid", 422)
    await world.get(f"/v1/invoices/{uuid4()}", 404)
    await world.get("/v1/invoices", 422, limit=201)
    await world.get("/v1/invoices", 422, cursor="nonsense")
    await world.get("/v1/invoices?status=lost", 422)
    await world.get("/v1/events", 422, types="Nonsense")
    await world.get("/v1/events", 422, after="-1")
    await world.get("/v1/customers", 422, updated_since="2026-01-01T00:00:00")


@pytest.mark.parametrize("action", ["release", "void", "hold"])
async def test_a_body_left_out_is_asked_for(world: Any, action: str) -> None:
    invoice = await world.invoice()
    answer = await world.client.post(f"/v1/invoices/{invoice['id']}/{action}")
    assert answer.status_code == 422
    assert [one["detail"] for one in answer.json()["errors"]] == ["Send a JSON body with `reason`."]
