"""Calls between services: with the service key, in process the same as over a socket."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from remit_testing.service import client_for

from remit_service import serving
from remit_service.peers import InProcessTransport, peer_client

SELLER = {"Remit-Seller": "00000000-0000-0000-0000-000000000007"}
REQUESTS = [
    ("POST", "/v1/things/internal", {}, None),
    ("POST", "/v1/things/balances", {}, None),
    ("GET", "/v1/things?limit=2", SELLER, None),
    ("POST", "/v1/things", SELLER, {"name": "ü %2F", "amount_minor": 0}),
    ("GET", "/v1/things/%2e%2e%2fx", {}, None),
    ("GET", "/nowhere?q=ü", {}, None),
    ("DELETE", "/v1/things", {}, None),
    ("POST", "/v1/things", {}, {"x": "y" * 200_000}),
]  # fmt: skip


@pytest.fixture(scope="module")
async def address(sample):
    stop, bound = asyncio.Event(), serving.listen("127.0.0.1", 0)
    server = asyncio.create_task(serving.serve(sample.service.app, bound, stop))
    yield "http://{}:{}".format(*bound.getsockname()[:2])
    stop.set()
    await server


@pytest.mark.parametrize(("method", "path", "headers", "body"), REQUESTS)
async def test_in_process_and_over_a_socket_are_the_same(sample, address, method, path, headers, body):
    settings, answers = sample.service.settings, []
    for transport in (None, InProcessTransport(sample.service.app)):
        async with peer_client("sample-svc", address, settings, transport=transport) as peer:
            answers.append(await peer.request(method, path, headers=headers, json=body))
    real, local = answers
    hop = {"date", "connection"}
    assert (real.status_code, real.content) == (local.status_code, local.content)
    assert {k: v for k, v in real.headers.items() if k not in hop} == {
        k: v for k, v in local.headers.items() if k not in hop
    }


async def test_a_streamed_request_is_read(sample):
    async def chunks():
        yield b'{"name": "a", '
        yield b'"amount_minor": 5}'

    async with await client_for(sample.service) as client:
        local = httpx.AsyncClient(
            transport=InProcessTransport(sample.service.app), base_url="http://x", headers=client.headers
        )
        headers = {"Content-Type": "application/json"}
        answer = await local.post("/v1/things", content=chunks(), headers=headers)
        assert (answer.status_code, answer.json()["amount_minor"]) == (201, 5)
        await local.aclose()


async def test_a_peer_that_is_not_there_is_an_error_of_httpx(sample):
    async with peer_client("gone", "http://127.0.0.1:1", sample.service.settings) as peer:
        with pytest.raises(httpx.ConnectError):
            await peer.get("/livez")
