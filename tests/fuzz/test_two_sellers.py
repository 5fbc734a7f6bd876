"""Invariant 28: two sellers, every route of every service: nothing of the other is seen or changed."""

from __future__ import annotations

import copy
import json
from typing import Any

import httpx
import pytest
from remit_testing.operations import Operation, objects, operations, put
from remit_testing.tables import Tables
from remit_testing.two_sellers import Party, TwoSellers

STRANGE = "not_a_field"
# A planned message is an answer of another route handed on whole; what the preview does not need is no harm.
IGNORES_MORE = {"POST /v1/templates/preview"}
# Open to whoever holds a secret of their own kind: a link in a mail, Twilio's signature.
WITHOUT_KEY = ("/v1/unsubscribe/", "/v1/callbacks/")
# What a key or a policy is called by is no secret: the same name at another seller is another thing.
NAMED = {"key", "version", "external_id"}


def with_key(world: TwoSellers) -> list[Operation]:
    return [one for one in operations(world) if not one.path.startswith(WITHOUT_KEY)]


@pytest.fixture(scope="module")
async def routes(world: TwoSellers) -> list[Operation]:
    return with_key(world)


async def test_nothing_of_another_seller_is_seen_or_changed(
    world: TwoSellers, routes: list[Operation], invariant: Any
) -> None:
    thief, owner = world.theirs, world.ours
    seen, found = list[str](), 0
    async with Tables(world.lapse.system.installation) as tables:
        before = await tables.rows_with(*owner.words, owner.seller_id)
        assert sum(map(len, before.values())) > 100
        requests = 0
        for one in routes:
            for body, params, claims in _attempts(one, thief, owner):
                answer = await one.send(world, thief, body, about=owner, params=params, **claims)
                requests += 1
                seen += [f"{one}: {word}" for word in owner.words if word in _told(answer, body, params)]
                found += _reached(one, answer)
        await world.lapse.settle()
        after = await tables.rows_with(*owner.words, owner.seller_id)
    changed = [name for name, rows in after.items() if before[name] != rows]
    assert (seen, found, changed) == ([], 0, [])
    invariant(28, "two sellers on every route").held(
        rounds=requests, routes=len(routes), rows_of_theirs=sum(map(len, before.values())), leaks=0, rows_changed=0
    )


async def test_a_cursor_of_another_seller_turns_ones_own_pages(world: TwoSellers, routes: list[Operation]) -> None:
    thief, owner, turned = world.theirs, world.ours, 0
    for one in routes:
        if "cursor" not in {parameter["name"] for parameter in one.parameters("query")}:
            continue
        page = await one.send(world, owner, params={"limit": "1"})
        if cursor := page.json().get("next_cursor"):
            params = {"cursor": cursor, "limit": "200"}
            answer = await one.send(world, thief, ids=thief.ids, params=params)
            assert answer.status_code in (200, 422), f"{one}: {answer.text}"
            assert [word for word in owner.words if word in _told(answer, None, params)] == [], str(one)
            turned += 1
    assert turned > 5


async def test_no_route_answers_without_a_key(world: TwoSellers, routes: list[Operation]) -> None:
    wrong = ("", "rk_", world.ours.key[:-1], world.ours.key.upper(), "rk_" + "\u0660" * 30, "' OR 1=1 --")
    claims = {"Remit-Seller": world.ours.seller_id, "X-Forwarded-For": "127.0.0.1", "If-Match": "*"}
    for one in routes:
        async with world.client(one.service) as client:
            for key in wrong:
                headers = [(name, value.encode()) for name, value in claims.items()]
                headers.append(("Authorization", f"Bearer {key}".encode()))
                answer = await client.request(
                    one.method, one.filled(world.ours.ids), json=one.living(world.ours), headers=headers
                )
                assert answer.status_code == 401, (str(one), key, answer.text)


async def test_extra_fields_are_refused(world: TwoSellers, routes: list[Operation]) -> None:
    tried = 0
    for one in routes:
        if one.schema is None or str(one) in IGNORES_MORE:
            continue
        body = one.living(world.ours)
        for at in objects(one.document, one.schema):
            smuggled = put(one.document, one.schema, body, (*at, STRANGE), 1) if at else body | {STRANGE: 1}
            answer = await one.send(world, world.ours, smuggled)
            assert STRANGE in answer.text, (str(one), at, answer.text)
            assert "extra_forbidden" in answer.text, (str(one), at, answer.text)
            tried += 1
    assert tried > 40


async def test_the_same_requests_find_what_is_their_own(world: TwoSellers, routes: list[Operation]) -> None:
    """Else the silence above would say nothing. It acts, as does the one below."""
    reads = [one for one in routes if one.reads]
    answers = {str(one): await one.send(world, world.ours) for one in reads}
    assert {name: answer.text for name, answer in answers.items() if answer.status_code != 200} == {}
    telling = [name for name, answer in answers.items() if any(word in answer.text for word in world.ours.words)]
    assert len(telling) > len(reads) / 2
    for one in routes:
        answer = await one.send(world, world.ours, one.living(world.ours))
        assert answer.status_code != 404, f"{one}: {answer.text}"


async def test_an_idempotency_key_of_another_seller_is_a_new_one(world: TwoSellers, routes: list[Operation]) -> None:
    """What was answered to the owner is not told to who asks the same under a key of the same name."""
    kept = 0
    for one in routes:
        if one.method == "POST" and one.schema is not None:
            key, body = {"Idempotency-Key": f"shared {one}"}, one.living(world.ours)
            kept += (await one.send(world, world.ours, body, **key)).is_success
            answer = await one.send(world, world.theirs, body, about=world.ours, **key)
            assert "Idempotency-Replayed" not in answer.headers, str(one)
            assert [word for word in world.ours.words if word in _told(answer, body, {})] == [], str(one)
    assert kept > 10


def _attempts(one: Operation, thief: Party, owner: Party) -> list[tuple[Any, dict[str, str], dict[str, str]]]:
    """A body of the thief's and one that names the owner's things; plain, with each filter set to theirs, and as if
    asked by a service for them."""
    bodies = [one.living(thief), one.living(owner)] if one.schema else [None]
    filters = [one["name"] for one in one.parameters("query") if one["name"] in owner.ids | owner.more]
    params = [{}, *({name: (owner.ids | owner.more)[name]} for name in filters)]
    found = [(copy.deepcopy(body), given, {}) for body in bodies for given in params]
    return [*found, (copy.deepcopy(bodies[-1]), {}, {"Remit-Seller": owner.seller_id})]


def _told(answer: httpx.Response, body: Any, params: dict[str, str]) -> str:
    """What the answer says beyond what the request itself said."""
    said = answer.text
    for word in _words(body) | set(params.values()) | set(str(answer.request.url.path).split("/")):
        said = said.replace(word, "")
    return said


def _words(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(_words, value.values()), set())
    if isinstance(value, list):
        return set().union(*map(_words, value), set())
    return {value} if isinstance(value, str) and len(value) > 3 else set()


def _reached(one: Operation, answer: httpx.Response) -> int:
    """1 when a request about a thing of another's was taken as if it were there."""
    about_a_thing = {parameter["name"] for parameter in one.parameters("path")} - NAMED
    return int(bool(about_a_thing) and answer.is_success and bool(json.loads(answer.content or b"{}")))
