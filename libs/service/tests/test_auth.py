"""Who may call what: keys, scopes, revocation, the service key."""

from __future__ import annotations

from uuid import UUID

import pytest
from remit_testing.service import SERVICE_KEY, client_for, internal_client
from uuid6 import uuid7

from remit_events.state import ApiKeyState
from remit_service.auth import new_key
from remit_service.sellers import save_seller

THING = {"name": "chair", "amount_minor": 100}


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic abc",
        "Bearer rk_unknown",
        "rk_unknown",
        f"Bearer {SERVICE_KEY}x",
        "Bearer ü",
    ],
)
async def test_without_a_key_nothing_opens(sample, authorization):
    async with internal_client(sample.service) as client:
        headers = [] if authorization is None else [("Authorization", authorization.encode("latin-1"))]
        del client.headers["Authorization"]
        for method, path in (("GET", "/v1/things"), ("POST", "/v1/things"), ("POST", "/v1/things/internal")):
            answer = await client.request(method, path, headers=headers, json=None if method == "GET" else THING)
            assert (answer.status_code, answer.json()["type"]) == (401, "urn:remit:problem:unauthenticated")
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="remit"'


async def test_a_key_opens_what_its_scopes_name(sample):
    async with await client_for(sample.service, scopes=("things:read",)) as reader:
        assert (await reader.get("/v1/things")).status_code == 200
        refused = await reader.post("/v1/things", json=THING)
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:remit:problem:missing-scope")
        assert refused.json()["scope"] == "things:write"
        assert "things:write" in refused.json()["detail"]


async def test_a_star_does_not_open_internal_routes(sample):
    async with await client_for(sample.service, scopes=("*",)) as client:
        assert (await client.post("/v1/things/internal")).status_code == 403


async def test_the_scope_internal_cannot_be_bought_with_a_key_of_all_scopes(sample):
    async with await client_for(sample.service) as client:
        assert (await client.post("/v1/things/balances")).json() == {"internal": False}


async def test_a_revoked_key_is_refused_from_the_next_request_on(sample):
    async with await client_for(sample.service) as client:
        assert (await client.get("/v1/things")).status_code == 200
        gone = tuple(key.model_copy(update={"revoked": True}) for key in client.seller.keys)
        async with sample.db.transaction() as session:
            revoked = client.seller.model_copy(update={"keys": gone, "version": client.seller.version + 1})
            assert await save_seller(session, revoked)
        assert (await client.get("/v1/things")).status_code == 401


async def test_each_caller_sees_its_own_seller_only(sample):
    async with await client_for(sample.service) as one, await client_for(sample.service) as other:
        made = (await one.post("/v1/things", json=THING)).json()["id"]
        assert (await one.get(f"/v1/things/{made}")).status_code == 200
        hidden = await other.get(f"/v1/things/{made}")
        missing = await other.get(f"/v1/things/{uuid7()}")
        assert (hidden.status_code, hidden.json()["type"]) == (404, missing.json()["type"])
        assert (await other.get("/v1/things")).json() == {"data": [], "next_cursor": None}


async def test_a_service_calls_internal_routes(sample):
    async with internal_client(sample.service) as service:
        assert (await service.post("/v1/things/internal")).json() == {"caller": "service"}
        assert (await service.post("/v1/things/balances")).json() == {"internal": True}


async def test_a_service_names_the_seller_it_acts_for(sample):
    async with await client_for(sample.service) as client:
        made = (await client.post("/v1/things", json=THING)).json()["id"]
        async with internal_client(sample.service) as service:
            unnamed = await service.get(f"/v1/things/{made}")
            assert unnamed.status_code == 403
            assert "Remit-Seller" in unnamed.json()["detail"]
            named = {"Remit-Seller": str(client.seller.id)}
            assert (await service.get(f"/v1/things/{made}", headers=named)).status_code == 200
            other = {"Remit-Seller": str(UUID(int=7))}
            assert (await service.get(f"/v1/things/{made}", headers=other)).status_code == 404
            assert (await service.get("/v1/things", headers={"Remit-Seller": "me"})).status_code == 422


async def test_a_seller_header_means_nothing_beside_a_sellers_key(sample):
    async with await client_for(sample.service) as one, await client_for(sample.service) as other:
        made = (await one.post("/v1/things", json=THING)).json()["id"]
        answer = await other.get(f"/v1/things/{made}", headers={"Remit-Seller": str(one.seller.id)})
        assert answer.status_code == 404


async def test_only_the_hash_of_a_key_is_known(sample):
    key, sha256 = new_key()
    assert key.startswith("rk_")
    assert len(key) >= 43
    assert len(bytes.fromhex(sha256)) == 32
    assert new_key()[0] != key
    assert key not in ApiKeyState(id=uuid7(), name="k", sha256=sha256, scopes=("*",)).model_dump_json()
