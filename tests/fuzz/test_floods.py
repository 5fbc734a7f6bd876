"""Invariant 31: connections, heads and bodies without end, against a service process: memory flat, others served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from remit_testing.fixtures import MakeDatabase
from remit_testing.flood import AUTHORIZED, HALF_A_HEAD, Besieged, endless
from remit_testing.installations import make_installation

POST = b"POST /v1/customers HTTP/1.1\r\n" + AUTHORIZED
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LIMIT = 50_000_000
SECONDS = 3.0
# Of what one flood leaves: buffers the allocator keeps, warm pools; not what was sent.
FLAT_MB = 40.0
# A connection that stays costs its socket and its parser.
EACH_MB = 0.03
ANSWERED_SECONDS = 10.0

ANSWERS = (b"", *(b"HTTP/1.1 %d " % status for status in (200, 400, 408, 413, 431, 503)))

ENDLESS: dict[str, tuple[bytes, Callable[[], Iterator[bytes]]]] = {
    "chunked body": (CHUNKED, endless(b"10000\r\n" + b"x" * 65_536 + b"\r\n")),
    "tiny chunks": (CHUNKED, endless(b"1\r\nx\r\n" * 10_000)),
    "chunk extension": (CHUNKED + b"2;a=", endless(b"y" * 65_536)),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", endless(b"X: yyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 2_000)),
    "announced body": (POST + b"Content-Length: 99999999999\r\n\r\n", endless(b"x" * 65_536)),
    "unannounced body": (b"GET /v1/invoices HTTP/1.1\r\n" + AUTHORIZED + b"Transfer-Encoding: chunked\r\n\r\n",
                         endless(b"10000\r\n" + b"x" * 65_536 + b"\r\n")),
    "header": (b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: ", endless(b"x" * 65_536)),
    "headers": (b"GET /livez HTTP/1.1\r\nHost: x\r\n", endless(b"X-A: yyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 2_000)),
    "target": (b"GET /", endless(b"x" * 65_536)),
    "blank lines": (b"", endless(b"\r\n" * 30_000)),
    "requests": (b"", endless(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 500)),
}  # fmt: skip
STAYING = {
    "silent": b"",
    "half a head": HALF_A_HEAD,
    "slow body": POST + b"Content-Length: 1000\r\n\r\n{",
    "slow body with an Idempotency-Key": POST + b"Idempotency-Key: slow\r\nContent-Length: 1000\r\n\r\n{",
    "large body of nobody": b"POST /v1/customers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1900000\r\n\r\n" + b"x" * 60_000,
}


@pytest.fixture(scope="module")
async def besieged(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Besieged]:
    folder = tmp_path_factory.mktemp("floods")
    installation = await make_installation(make_database, folder)
    async with Besieged.start(installation, "invoice-svc", folder, REQUEST_SECONDS=str(SECONDS)) as made:
        await made.served()
        yield made


async def test_what_never_ends_is_hung_up_on(besieged: Besieged, rounds: Any, invariant: Any) -> None:
    at_once = rounds(full=50, short=4)
    grown, most, slowest, before = 0.0, 0, 0.0, besieged.memory()
    for kind, (head, parts) in ENDLESS.items():
        pouring = asyncio.gather(*(besieged.pour(head, parts, LIMIT) for _ in range(at_once)))
        slowest = max(slowest, await besieged.served(3))
        for answer, sent in await pouring:
            assert answer[:13] in ANSWERS, answer
            most = max(most, sent)
        grown = max(grown, besieged.memory() - before)
        assert grown < FLAT_MB + at_once, f"{kind}: memory grew by {grown:.0f} MB"
    assert slowest < ANSWERED_SECONDS
    invariant(31, "heads and bodies without end").held(
        rounds=len(ENDLESS) * at_once,
        most_sent_mb=round(most / 1e6, 1),
        grown_mb=round(grown, 1),
        honest_s=round(slowest, 2),
    )


async def test_a_crowd_that_stays_keeps_nobody_out(besieged: Besieged, rounds: Any, invariant: Any) -> None:
    count = rounds(full=5_000, short=300)
    before, grown, slowest, files = besieged.memory(), 0.0, 0.0, besieged.files()
    for kind, said in STAYING.items():
        async with besieged.crowd(count, said) as crowd:
            for _ in range(3):
                slowest = max(slowest, await besieged.served(2))
                await crowd.trickle()
            grown = max(grown, besieged.memory() - before)
            await _until_gone(crowd, kind)
    await asyncio.sleep(0.5)
    assert grown < FLAT_MB + count * EACH_MB
    assert slowest < ANSWERED_SECONDS
    assert besieged.files() < files + 100, "what was hung up on is closed"
    invariant(31, "a crowd of open connections").held(
        rounds=len(STAYING), connections=count, grown_mb=round(grown, 1), honest_s=round(slowest, 2), left=0
    )


async def _until_gone(crowd: Any, kind: str) -> None:
    """Every one of them is hung up on, however it trickles on."""
    async with asyncio.timeout(SECONDS * 10):
        while crowd.standing():
            await crowd.trickle()
            await asyncio.sleep(0.3)
    assert crowd.standing() == 0, kind
