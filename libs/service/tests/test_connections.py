"""One connection: its head, its body and its time are bounded; who keeps to that notices nothing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from remit_testing.service import client_for

from remit_service import serving
from remit_service.connections import LARGEST_HEAD, MOST_AHEAD, SMALL_BODY, Limits

THING = json.dumps({"name": "lamp", "amount_minor": 4900}).encode()
SECONDS = 0.4


@asynccontextmanager
async def served(sample, **given) -> AsyncIterator[tuple[str, int]]:
    stop, bound = asyncio.Event(), serving.listen("127.0.0.1", 0)
    limits = Limits(**({"seconds": SECONDS} | given))
    server = asyncio.create_task(serving.serve(sample.service.app, bound, stop, limits=limits))
    try:
        yield bound.getsockname()[:2]
        await asyncio.sleep(0.05)
        assert limits.held == 0, "every body is forgotten"
    finally:
        stop.set()
        await server


@pytest.fixture
async def head(sample):
    """Of a POST, without the blank line at its end."""
    async with await client_for(sample.service) as client:
        yield (
            f"POST /v1/things HTTP/1.1\r\nHost: t\r\nAuthorization: {client.headers['authorization']}\r\n"
            "Content-Type: application/json\r\n"
        ).encode()


async def said(place: tuple[str, int], *parts: bytes, pause: float = 0.0) -> bytes:
    """Everything that was answered until the server hung up, or until nothing came for two seconds."""
    reader, writer = await asyncio.open_connection(*place)
    answer = b""
    try:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(pause)
        while more := await asyncio.wait_for(reader.read(65_536), 2):
            answer += more
    except (TimeoutError, ConnectionError):
        pass
    writer.transport.abort()
    return answer


@pytest.mark.parametrize(
    "parts",
    [
        (b"GET /livez HTTP/1.1\r\nHost: t\r\nX: ", b"x" * LARGEST_HEAD),
        (b"GET /" + b"x" * LARGEST_HEAD,),
        (b"GET /livez HTTP/1.1\r\n", b"X: y\r\n" * (LARGEST_HEAD // 6)),
        (b"\r\n" * LARGEST_HEAD,),
    ],
    ids=["one header", "target", "headers", "blank lines"],
)
async def test_a_head_without_end(sample, parts):
    async with served(sample) as place:
        answer = await said(place, *parts)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"urn:remit:problem:head-too-large" in answer


@pytest.mark.parametrize(
    "parts",
    [
        (b"2\r\n{}\r\n0\r\n", b"X: y\r\n" * (LARGEST_HEAD // 5)),
        (b"2;" + b"x" * LARGEST_HEAD,),
        (b"1\r\n \r\n" * LARGEST_HEAD,),
    ],
    ids=["trailers", "chunk extension", "tiny chunks"],
)
async def test_framing_without_end(sample, head, parts):
    async with served(sample) as place:
        answer = await said(place, head + b"Transfer-Encoding: chunked\r\n\r\n", *parts)
    assert answer.split(b" ")[1] in (b"431", b"422")


async def test_a_large_head_and_a_body_in_chunks_are_taken(sample, head):
    chunked = head + b"X: " + b"x" * (LARGEST_HEAD // 2) + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with served(sample) as place:
        for size in (7, 50):
            parts = [
                b"%x\r\n%s\r\n" % (len(THING[at : at + size]), THING[at : at + size])
                for at in range(0, len(THING), size)
            ]
            assert (await said(place, chunked, *parts, b"0\r\n\r\n", pause=0.001)).startswith(b"HTTP/1.1 201")


@pytest.mark.parametrize("part", [b"", b"GET /livez HTT", b"GET /livez HTTP/1.1\r\nHost: t\r\n"])
async def test_a_head_that_never_ends_in_time(sample, part):
    async with served(sample) as place:
        began = time.monotonic()
        answer = await said(place, part)
        assert SECONDS / 2 < time.monotonic() - began < SECONDS + 1
    assert answer.startswith(b"HTTP/1.1 408") if part else answer == b""


async def test_a_body_that_never_ends_in_time(sample, head):
    before = await sample.things()
    async with served(sample) as place:
        answer = await said(place, head + b"Content-Length: 50\r\n\r\n", b"{", b" ", b" ", pause=0.1)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"urn:remit:problem:request-too-slow" in answer
    assert await sample.things() == before


async def test_a_connection_is_kept_from_request_to_request(sample, head):
    """However long it rests between them, as far as that goes."""
    request = head + b"Content-Length: %d\r\n\r\n" % len(THING) + THING
    async with served(sample) as place:
        answer = await said(
            place, request, request + request, b"GET /livez HTTP/1.1\r\nHost: t\r\n\r\n", pause=SECONDS * 2
        )
    assert [answer.count(b"HTTP/1.1 201"), answer.count(b"HTTP/1.1 200")] == [3, 1]


async def test_a_thousand_requests_ahead_are_hung_up_on(sample):
    async with served(sample) as place:
        answer = await said(place, b"GET /livez HTTP/1.1\r\nHost: t\r\n\r\n" * 1_000)
    assert answer.count(b"HTTP/1.1 200") <= MOST_AHEAD + 1
    assert b"HTTP/1.1 400" in answer


async def test_bodies_that_trickle_in_keep_nobody_from_the_database(sample, head):
    """There are thirty connections to it; an Idempotency-Key is looked up there before anything else."""
    slow = head + b"Idempotency-Key: slow\r\nContent-Length: 50\r\n\r\n{"
    async with served(sample, seconds=20) as place:
        crowd = [await asyncio.open_connection(*place) for _ in range(60)]
        for _, writer in crowd:
            writer.write(slow)
        await asyncio.sleep(0.3)
        began = time.monotonic()
        honest = await said(place, head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(THING) + THING)
        assert honest.startswith(b"HTTP/1.1 201")
        assert time.monotonic() - began < 5
        for _, writer in crowd:
            writer.transport.abort()


async def test_large_bodies_wait_while_there_are_too_many_and_small_ones_do_not(sample, head):
    part = head + b"Content-Length: 90000\r\n\r\n" + b" " * 60_000
    async with served(sample, seconds=20, most_held=200_000) as place:
        crowd = [await asyncio.open_connection(*place) for _ in range(3)]
        for _, writer in crowd:
            writer.write(part)
        await asyncio.sleep(0.2)
        refused = await said(place, part)
        small = await said(place, head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(THING) + THING)
        for _, writer in crowd:
            writer.transport.abort()
        await asyncio.sleep(0.1)
        large = head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % (len(THING) + 60_000)
        again = await said(place, large, THING + b" " * 60_000)
    assert len(THING) < SMALL_BODY
    assert (refused[:13], small[:13], again[:13]) == (b"HTTP/1.1 503 ", b"HTTP/1.1 201 ", b"HTTP/1.1 201 ")
    assert b"Retry-After: 1" in refused or b"retry-after: 1" in refused
