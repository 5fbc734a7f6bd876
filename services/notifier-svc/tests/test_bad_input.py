"""Whatever is thrown at the routes, the answer is a problem that says why, and nothing is half done."""

from __future__ import annotations

import json
from typing import Any

import pytest
import pytest_asyncio
from remit_testing.notifier import World
from remit_testing.service import SellerClient, client_for
from uuid6 import uuid7

NASTY = [
    "",
    " ",
    "\x00",
    "a\x00b",
    "a\r\nBcc: x@evil.example",
    "x" * 10_000,
    "\u202eevil\u202c",
    "💶" * 300,
    "'; DROP TABLE delivery; --",
    "%00%0d%0a",
    "{{7*7}}",
    "../../etc/passwd",
    "-1",
    "1e309",
    "\ufffe",
]
ID = str(uuid7())
BODIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "resolve": ("POST", f"/v1/deliveries/{ID}/resolve", {"outcome": "sent", "by": "x", "note": "y"}),
    "suppress": (
        "POST",
        "/v1/suppressions",
        {"channel": "email", "address": "a@b.example", "kind": "full", "reason": "r", "note": "n"},
    ),
    "preview": (
        "POST",
        "/v1/templates/preview",
        {
            "at": "2026-03-02T08:00:00Z",
            "customer_id": ID,
            "stage": "overdue",
            "step": "s",
            "tone": "firm",
            "template": "t",
            "channels": ["email"],
            "items": [{"invoice_id": ID, "step": "s", "amount_minor": 1, "days_overdue": 1}],
        },
    ),
    "live": ("PUT", "/v1/live-mode", {"on": True, "seller_name": "x", "by": "y"}),
    "test": ("POST", "/v1/providers/test", {"to": "x@y.example"}),
}


@pytest_asyncio.fixture(loop_scope="session")
async def client(world: World) -> Any:
    await world.settle()
    async with await client_for(world.service, seller=world.seller) as made:
        yield made


def sound(answer: Any) -> bool:
    """No fault of ours, and an error is a problem with a type and a way out."""
    if answer.status_code < 400:
        return True
    problem = answer.json()
    return answer.status_code < 500 and problem["type"].startswith("urn:remit:problem:") and bool(problem["detail"])


@pytest.mark.parametrize("name", BODIES)
async def test_every_field_of_every_body(client: SellerClient, name: str) -> None:
    method, path, body = BODIES[name]
    for field in body:
        for bad in [*NASTY, None, 10**30, -5, [], {}, True, ["x"] * 2000]:
            answer = await client.request(method, path, json=body | {field: bad})
            assert sound(answer), (field, bad, answer.status_code, answer.text[:300])


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 5000, b'{"a":' * 500])
async def test_what_is_no_body(client: SellerClient, content: bytes) -> None:
    for method, path, _ in BODIES.values():
        answer = await client.request(method, path, content=content, headers={"Content-Type": "application/json"})
        assert sound(answer), (path, content[:20], answer.status_code)
        assert answer.status_code >= 400


async def test_every_parameter(client: SellerClient) -> None:
    filters = "status customer invoice channel stage touch updated_since newest_first limit cursor"
    parameters = {
        "/v1/deliveries": filters.split(),
        "/v1/suppressions": ["channel", "address", "updated_since", "limit", "cursor"],
        "/v1/replies": ["customer", "intent", "updated_since", "newest_first", "limit", "cursor"],
    }
    for path, names in parameters.items():
        for name in names:
            for bad in NASTY:
                given = {name: bad} | ({"channel": "email"} if name == "address" else {})
                answer = await client.get(path, params=given)
                assert sound(answer), (path, name, bad, answer.status_code, answer.text[:300])


async def test_every_place_in_a_path(client: SellerClient) -> None:
    for bad in ["x", "%00", "0", "..%2f..", "%F0%9F%92%B6", ID + "0", "'"]:
        for path in ("/v1/deliveries/{}", "/v1/replies/{}", "/v1/deliveries/{}/content", "/v1/unsubscribe/{}"):
            assert sound(await client.get(path.format(bad))), (path, bad)
        assert sound(await client.delete(f"/v1/suppressions/{bad}"))


async def test_names_and_addresses_from_events_do_no_harm(world: World, client: SellerClient) -> None:
    names = [name for name in NASTY if name.strip() and "\x00" not in name]
    for name in names:
        customer = await world.customer(name=name, external_id=name, address=name, language="en")
        await world.remind(customer, world.invoice(customer, number=name[:200]), channels=("email", "sms", "letter"))
    await world.settle()
    rows = await world.rows("SELECT status, count(*) AS n FROM delivery GROUP BY status")
    assert {row.status for row in rows} <= {"sent", "failed"}
    assert sum(row.n for row in rows if row.status == "sent") >= len(names)
    for path in world.files():
        assert path.parent == world.mailbox
        head = path.read_bytes().split(b"\r\n\r\n")[0]
        assert path.suffix != ".eml" or b"\nBcc:" not in head
    answer = await client.get("/v1/deliveries", params={"limit": 200})
    assert answer.status_code == 200
    assert len(json.loads(answer.content)["data"]) == sum(row.n for row in rows)
