"""Idempotency-Key: one effect per key, whatever the number and the timing of the requests."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import httpx
import pytest
from remit_testing.service import client_for
from sqlalchemy import func, select

from remit_service import idempotency, serving
from remit_service.idempotency import PurgeAnswers
from remit_service.tables import idempotency as answers

THING = {"name": "lamp", "amount_minor": 4900}


@pytest.fixture
async def client(sample):
    async with await client_for(sample.service) as opened:
        yield opened


def under(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


async def test_the_same_request_replays_the_first_answer(sample, client):
    before = await sample.things()
    first = await client.post("/v1/things", json=THING, headers=under("a"))
    again = await client.post("/v1/things", json=THING, headers=under("a"))
    assert (first.status_code, "Idempotency-Replayed" in first.headers) == (201, False)
    assert again.headers["Idempotency-Replayed"] == "true"
    kept = ("content-type", "location")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert [again.headers[name] for name in kept] == [first.headers[name] for name in kept]
    assert await sample.things() == before + 1


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/things", THING | {"amount_minor": 5000}), ("/v1/things?dry=1", THING)]
)
async def test_another_request_under_the_key_is_refused(sample, client, path, body):
    assert (await client.post("/v1/things", json=THING, headers=under("a"))).status_code == 201
    before = await sample.things()
    answer = await client.post(path, json=body, headers=under("a"))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:remit:problem:idempotency-key-reused")
    assert await sample.things() == before


async def test_another_thing_under_the_key_is_refused(client):
    """The same empty body at the same route but for another id is another request."""
    ids = [(await client.post("/v1/things", json=THING)).json()["id"] for _ in range(2)]
    assert (await client.post(f"/v1/things/{ids[0]}/touch", headers=under("t"))).json() == {"touched": ids[0]}
    assert (await client.post(f"/v1/things/{ids[1]}/touch", headers=under("t"))).status_code == 422


async def test_a_key_is_scoped_to_route_and_seller(sample, client):
    first = await client.post("/v1/things", json=THING, headers=under("a"))
    touched = await client.post(f"/v1/things/{first.json()['id']}/touch", headers=under("a"))
    assert touched.status_code == 200
    async with await client_for(sample.service) as other:
        answer = await other.post("/v1/things", json=THING, headers=under("a"))
        assert (answer.status_code, "Idempotency-Replayed" in answer.headers) == (201, False)


async def test_two_keys_of_one_seller_share_the_answer(sample, client):
    first = await client.post("/v1/things", json=THING, headers=under("a"))
    async with await client_for(sample.service, seller=client.seller) as colleague:
        again = await colleague.post("/v1/things", json=THING, headers=under("a"))
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.content == first.content


async def test_a_key_without_the_scope_gets_no_replay(sample, client):
    await client.post("/v1/things", json=THING, headers=under("a"))
    async with await client_for(sample.service, seller=client.seller, scopes=("things:read",)) as reader:
        answer = await reader.post("/v1/things", json=THING, headers=under("a"))
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:remit:problem:missing-scope")


async def test_errors_are_not_kept(sample, client):
    assert (await client.post("/v1/things/refused", json=THING, headers=under("r"))).status_code == 409
    assert (await client.post("/v1/things", json={}, headers=under("a"))).status_code == 422
    assert (await client.post("/v1/things/uncommittable", json=THING, headers=under("u"))).status_code == 500
    async with sample.db.reading() as session:
        mine = answers.c.seller_id == client.seller.id
        assert await session.scalar(select(func.count()).select_from(answers).where(mine)) == 0
    assert (await client.post("/v1/things", json=THING, headers=under("a"))).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
async def test_a_key_that_is_none(sample, client, key):
    before = await sample.things()
    answer = await client.post("/v1/things", json=THING, headers=under(key))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:remit:problem:idempotency-key-invalid")
    assert await sample.things() == before


async def test_while_the_first_runs_the_second_is_told_to_wait(sample, client):
    sample.entered.clear()
    sample.release.clear()
    first = asyncio.create_task(client.post("/v1/things/slow", json=THING, headers=under("s")))
    await sample.entered.wait()
    second = await client.post("/v1/things/slow", json=THING, headers=under("s"))
    assert (second.status_code, second.json()["type"]) == (409, "urn:remit:problem:idempotency-in-progress")
    assert second.headers["Retry-After"] == "1"
    sample.release.set()
    answer = await first
    again = await client.post("/v1/things/slow", json=THING, headers=under("s"))
    assert (again.content, again.headers["Idempotency-Replayed"]) == (answer.content, "true")


def one_effect(statuses: Counter[int], bodies: set[bytes]) -> None:
    assert set(statuses) <= {201, 409}
    assert statuses[201] >= 1
    assert len(bodies) == 1


async def test_a_hundred_at_once_have_one_effect(sample, client):
    for round_ in range(3):
        before = await sample.things()
        posts = [client.post("/v1/things", json=THING, headers=under(f"h{round_}")) for _ in range(100)]
        given = await asyncio.gather(*posts)
        one_effect(Counter(a.status_code for a in given), {a.content for a in given if a.status_code == 201})
        assert sum(a.status_code == 201 and "Idempotency-Replayed" not in a.headers for a in given) == 1
        assert await sample.things() == before + 1


async def test_a_hundred_at_once_over_sockets_have_one_effect(sample, client):
    stop, bound = asyncio.Event(), serving.listen("127.0.0.1", 0)
    server = asyncio.create_task(serving.serve(sample.service.app, bound, stop))
    host, port = bound.getsockname()[:2]
    before = await sample.things()
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}", headers=client.headers, trust_env=False) as real:
        given = await asyncio.gather(
            *(real.post("/v1/things", json=THING, headers=under("real"), timeout=30) for _ in range(100))
        )
    stop.set()
    await server
    one_effect(Counter(a.status_code for a in given), {a.content for a in given if a.status_code == 201})
    assert await sample.things() == before + 1


async def test_answers_are_forgotten_after_seven_days(sample, client):
    await client.post("/v1/things", json=THING, headers=under("old"))
    now = sample.clock.now()
    async with sample.db.transaction() as session:
        assert await idempotency.purge(session, now + timedelta(days=7)) == 0
        assert await idempotency.purge(session, now + timedelta(days=7, seconds=1)) >= 1
    answer = await client.post("/v1/things", json=THING, headers=under("old"))
    assert "Idempotency-Replayed" not in answer.headers


async def test_the_purge_asks_the_database_once_an_hour(sample, client):
    await client.post("/v1/things", json=THING, headers=under("p"))
    task = PurgeAnswers(sample.db, sample.clock)
    sample.clock.set(sample.clock.now() + timedelta(days=8))
    assert await task.run() >= 1
    assert await task.run() == 0
    assert await task.next_at() is None
