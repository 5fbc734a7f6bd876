"""Invariants 29 and 32: hostile text in every text field and parameter of every route.

It is stored and read back as it was, or refused with what is wrong; it is never run and never a 500.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import httpx
from remit_testing.hostile import CORPUS, RUN
from remit_testing.operations import Operation, Place, operations, places, put
from remit_testing.tables import Tables
from remit_testing.two_sellers import TwoSellers

# Kept in another form than given, by their kind: an address in lower case, a number without spaces.
NORMALISED = {
    "email",
    "sender_email",
    "reply_to",
    "phone",
    "sms_from",
    "iban",
    "bic",
    "country",
    "language",
    "currency",
}
# No URL can hold half a pair.
UNSAYABLE = {"surrogate"}


async def test_every_text_field(world: TwoSellers, rounds: Any, seed: int, invariant: Any) -> None:
    found = [(one, at) for one in operations(world) if one.schema for at, _ in places(one.document, one.schema)]
    assert len(found) > 150
    tried = [(one, at, name) for one, at in found for name in CORPUS]
    chance = random.Random(seed)  # noqa: S311  # no secret
    chosen = tried if rounds(full=2, short=1) == 2 else chance.sample(tried, len(tried) // 12)
    taken = 0
    async with Tables(world.lapse.system.installation) as tables:
        names = set(await tables.digests())
        for one, at, name in chosen:
            assert one.schema
            body = put(one.document, one.schema, one.living(world.ours), at, CORPUS[name])
            answer = await one.send(world, world.ours, body)
            check(one, at, name, answer)
            if answer.is_success:
                taken += await read_back(world, one, at, name, answer)
        assert set(await tables.digests()) == names, "no table is gone"
        assert {name: rows for name, rows in (await tables.rows_with(*RUN)).items() if rows} == {}
    assert taken > len(chosen) / 40
    figures = {"rounds": len(chosen), "fields": len(found), "came_back_as_given": taken}
    invariant(29, "hostile text in every text field").held(**figures, executed=0)
    invariant(32, "hostile text in every text field").held(**figures, faults_of_ours=0)


async def test_every_text_parameter(world: TwoSellers, rounds: Any, seed: int, invariant: Any) -> None:
    """In queries, in paths and in headers."""
    given = [(one, where, name, bad) for one in operations(world) for where, name, bad in _given(one)]
    chance = random.Random(f"{seed} parameters")  # noqa: S311  # no secret
    chosen = given if rounds(full=2, short=1) == 2 else chance.sample(given, len(given) // 12)
    for one, where, name, bad in chosen:
        body, ids = one.living(world.ours), world.ours.ids
        if where == "query":
            answer = await one.send(world, world.ours, body, params={name: bad})
        elif where == "path":
            answer = await one.send(world, world.ours, body, ids=ids | {name: bad})
        else:
            answer = await one.send(world, world.ours, body, **{name: bad})
        check(one, (where, name), bad[:20], answer)
    invariant(32, "hostile text in every parameter and header").held(rounds=len(chosen), faults_of_ours=0)


def _given(one: Operation) -> Iterator[tuple[str, str, str]]:
    """Every way to say something beside the body, with every text that fits in there."""
    for name, bad in CORPUS.items():
        if name not in UNSAYABLE and len(bad) < 5_000:
            for where in ("query", "path"):
                named = [parameter["name"] for parameter in one.parameters(where)]
                yield from ((where, parameter, bad) for parameter in named if parameter != "wait")
    for header in ("Idempotency-Key", "If-Match", "Remit-Seller", "traceparent", "baggage", "Content-Type"):
        yield from (("header", header, bad) for bad in ("'; \x7f\xff{{7*7}}", "x" * 5_000, "=?utf-8?q?=0D=0A?="))


def check(one: Operation, at: Place, name: str, answer: httpx.Response) -> None:
    where = f"{one} {at} {name}: {answer.status_code} {answer.text[:300]}"
    assert answer.status_code < 500, where
    assert not [run for run in RUN if run in answer.text], where
    if not answer.is_success:
        problem = answer.json()
        assert problem["type"].startswith("urn:remit:problem:"), where
        assert problem["detail"], where
        assert len(answer.content) < 10_000, f"a refusal quotes little: {where}"
        assert "Traceback" not in answer.text, where
        assert "asyncpg" not in answer.text, where


async def read_back(world: TwoSellers, one: Operation, at: Place, name: str, answer: httpx.Response) -> int:
    """Whether the field came back; as it was given but for space around it."""
    field, given = at[-1], CORPUS[name].strip()
    answers = [answer]
    if location := answer.headers.get("location"):
        async with world.client(one.service, world.ours) as client:
            answers.append(await client.get(location))
    seen = 0
    for said in answers:
        content = json.loads(said.content) if said.content and "json" in said.headers["content-type"] else {}
        if len(at) == 1 and field in content and field not in NORMALISED:
            assert content[field] == given, f"{one} {at} {name}: {content[field]!r}"
            seen = 1
    return seen
