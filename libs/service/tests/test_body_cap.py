"""Large bodies: a 413 problem, announced or streamed, and memory stays flat."""

from __future__ import annotations

import asyncio
import resource

import httpx
import pytest
from remit_testing.service import client_for

from remit_service import serving
from remit_service.problems import MEDIA_TYPE

CAP = 100_000  # as in the sample's settings
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def client(sample):
    async with await client_for(sample.service) as opened:
        yield opened


async def endless(size: int, sent: list[int]):
    yield b'{"name": "'
    while sum(sent) < size:
        sent.append(65536)
        yield b"x" * 65536


def refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (413, MEDIA_TYPE)
    assert answer.json()["type"] == "urn:remit:problem:body-too-large"
    assert str(CAP) in answer.json()["detail"]


async def test_an_announced_body_is_refused_before_it_is_read(client):
    for path in ("/v1/things", "/nowhere"):
        refused(await client.post(path, content=b"x" * (CAP + 1), headers=JSON))


async def test_a_body_at_the_cap_is_read(client):
    answer = await client.post("/v1/things", content=b" " * (CAP - 2) + b"{}", headers=JSON)
    assert answer.status_code == 422


async def test_a_streamed_body_is_refused_once_it_is_too_large(client):
    sent: list[int] = []
    refused(await client.post("/v1/things", content=endless(10 * CAP, sent), headers=JSON))


@pytest.mark.parametrize("length", ["abc", "-1", "1e3"])
async def test_a_length_that_is_no_number(sample, client, length):
    answers: list[dict] = []
    scope = {
        "type": "http", "method": "POST", "path": "/v1/things", "raw_path": b"/v1/things", "query_string": b"",
        "headers": [(b"content-length", length.encode())], "http_version": "1.1", "scheme": "http",
    }  # fmt: skip

    async def send(message):
        answers.append(message)

    await sample.service.app(scope, None, send)
    assert answers[0]["status"] in (400, 413)


async def test_an_endless_body_over_a_socket_ends_with_413_and_flat_memory(sample, client):
    stop, bound = asyncio.Event(), serving.listen("127.0.0.1", 0)
    server = asyncio.create_task(serving.serve(sample.service.app, bound, stop))
    sent: list[int] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    host, port = bound.getsockname()[:2]
    answer = await chunked(host, port, client.headers["authorization"], sent, limit=400_000_000)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    stop.set()
    await server
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"body-too-large" in answer
    assert sum(sent) < 100_000_000, "the connection was closed long before the end"
    assert grown < 32_000, f"memory grew by {grown} kB"


async def chunked(host: str, port: int, authorization: str, sent: list[int], limit: int) -> bytes:
    """Sends a chunked body until the server hangs up or `limit` bytes; gives what it answered."""
    reader, writer = await asyncio.open_connection(host, port)
    head = (
        f"POST /v1/things HTTP/1.1\r\nHost: t\r\nAuthorization: {authorization}\r\nContent-Type: application/json\r\n"
    )
    writer.write(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
    answer = asyncio.create_task(reader.read(4096))
    try:
        while sum(sent) < limit and not reader.at_eof():
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            sent.append(65536)
            await writer.drain()
            await asyncio.sleep(0)
            if writer.is_closing():
                break
    except ConnectionError:
        pass
    writer.close()
    return await answer
