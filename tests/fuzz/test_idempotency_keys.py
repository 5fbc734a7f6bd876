"""Invariant 26: whatever is posted, the same Idempotency-Key a hundred times at once has one effect."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
from remit_testing.operations import Operation, operations
from remit_testing.tables import Tables
from remit_testing.two_sellers import TwoSellers

# Of them nothing is kept: they change nothing here, and what they ask of others is asked again.
ASKING = {"POST /v1/templates/preview", "POST /v1/providers/check", "POST /v1/providers/test", "POST /v1/balances"}
WITHOUT_KEY = ("/v1/unsubscribe/", "/v1/callbacks/")


async def test_every_post_has_one_effect(world: TwoSellers, rounds: Any, invariant: Any) -> None:
    posts = [one for one in operations(world) if one.method == "POST" and str(one) not in ASKING]
    posts = [one for one in posts if not one.path.startswith(WITHOUT_KEY)]
    times, made = rounds(full=100, short=6), 0
    async with Tables(world.lapse.system.installation) as tables:
        for one in posts:
            made += await _posted(world, one, tables, times)
    assert made > len(posts) / 2
    invariant(26, "one Idempotency-Key on every POST").held(
        rounds=len(posts) * times, routes=len(posts), made=made, doubled=0
    )


async def _posted(world: TwoSellers, one: Operation, tables: Tables, times: int) -> int:
    """1 when it was taken: then all answers are the first one's, and nothing changes with any of the others."""
    body, key = one.living(world.ours), {"Idempotency-Key": f"once {one}"}
    answers = await asyncio.gather(*(_patient(world, one, body, key) for _ in range(times)))
    if not answers[0].is_success:
        assert len({answer.status_code for answer in answers}) == 1, f"{one}: {answers[0].text}"
        return 0
    assert len({answer.content for answer in answers}) == 1, f"{one}"
    assert Counter("Idempotency-Replayed" in answer.headers for answer in answers)[False] == 1, f"{one}"
    before = await tables.digests(one.service)
    again = await one.send(world, world.ours, body, **key)
    assert (again.content, again.headers["Idempotency-Replayed"]) == (answers[0].content, "true")
    other = await one.send(world, world.ours, (body or {}) | {"another": "body"}, **key)
    assert (other.status_code, other.json()["type"]) == (422, "urn:remit:problem:idempotency-key-reused"), f"{one}"
    assert await tables.digests(one.service) == before, f"{one}"
    return 1


async def _patient(world: TwoSellers, one: Operation, body: Any, key: dict[str, str]) -> httpx.Response:
    """Asks again while another is still being answered."""
    while True:
        answer = await one.send(world, world.ours, body, **key)
        if answer.status_code != 409 or "Retry-After" not in answer.headers:
            return answer
        await asyncio.sleep(0.01)
