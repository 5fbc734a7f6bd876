"""One transaction per request: committed before the answer leaves, rolled back by every error answer."""

from __future__ import annotations

import httpx
import pytest
from remit_testing.service import client_for

from remit_service.problems import MEDIA_TYPE

THING = {"name": "desk", "amount_minor": 1999}


@pytest.fixture
async def client(sample):
    async with await client_for(sample.service) as opened:
        yield opened


def problem(answer: httpx.Response, slug: str, status: int) -> dict:
    assert answer.headers["content-type"] == MEDIA_TYPE
    body = answer.json()
    assert (body["type"], body["status"], answer.status_code) == (f"urn:remit:problem:{slug}", status, status)
    assert body["title"]
    assert body["detail"]
    return body


async def test_what_was_answered_is_committed(sample, client):
    before = await sample.things()
    answer = await client.post("/v1/things", json=THING)
    assert answer.status_code == 201
    assert await sample.things() == before + 1
    assert (await client.get(answer.headers["Location"])).json() == answer.json()


async def test_the_answer_leaves_after_the_commit(sample, client):
    """Seen from outside: when the first byte of the answer is sent, another connection already sees the row."""
    seen: list[int] = []
    app = sample.service.app

    async def watching(scope, receive, send):
        async def sent(message):
            if message["type"] == "http.response.start":
                seen.append(await sample.things())
            await send(message)

        await app(scope, receive, sent)

    before = await sample.things()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(watching), base_url="http://t", headers=client.headers
    ) as outside:
        assert (await outside.post("/v1/things", json=THING)).status_code == 201
    assert seen == [before + 1]


@pytest.mark.parametrize(("path", "status"), [("refused", 409), ("broken", 500), ("uncommittable", 500)])
async def test_an_error_answer_leaves_nothing_behind(sample, client, path, status):
    before = await sample.things()
    answer = await client.post(f"/v1/things/{path}", json=THING)
    assert answer.status_code == status
    assert await sample.things() == before


async def test_a_failed_commit_is_a_500_and_shows_nothing_of_the_inside(client):
    answer = await client.post("/v1/things/uncommittable", json=THING)
    problem(answer, "internal-error", 500)
    assert "deferred" not in answer.text


DIES_IN_THE_COMMIT = [
    "CREATE FUNCTION pg_temp.die() RETURNS trigger LANGUAGE plpgsql AS "
    "$$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END$$",
    "CREATE TEMP TABLE fuse (n int)",
    "CREATE CONSTRAINT TRIGGER burns AFTER INSERT ON fuse DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
    "EXECUTE FUNCTION pg_temp.die()",
    "INSERT INTO fuse VALUES (1)",
]


async def test_a_connection_lost_in_the_commit_leaves_the_outcome_unknown(client):
    answer = await client.post("/v1/things/sql", json={"data": {"sql": DIES_IN_THE_COMMIT, "values": {}}})
    body = problem(answer, "outcome-unknown", 500)
    assert "same Idempotency-Key" in body["detail"]
    assert "nothing was changed" not in answer.text
    assert "Retry-After" not in answer.headers


async def test_an_unexpected_exception_shows_nothing_of_the_inside(client, capsys):
    answer = await client.post("/v1/things/broken", json=THING | {"name": "hunter2@example.com"})
    problem(answer, "internal-error", 500)
    assert "hunter2" not in answer.text
    assert "hunter2" not in capsys.readouterr().out


async def test_a_get_cannot_write(sample, client):
    before = await sample.things()
    problem(await client.get("/v1/things/writing"), "database-unavailable", 503)
    assert await sample.things() == before


async def test_no_connection_stays_out_after_errors(sample, client):
    for path in ("refused", "broken", "uncommittable"):
        await client.post(f"/v1/things/{path}", json=THING)
    assert sample.db.engine.pool.checkedout() == 0


@pytest.mark.parametrize(
    ("sql", "values", "slug", "status"),
    [
        ("SELECT CAST(:n AS int)", {"n": 2**40}, "value-not-storable", 422),
        ("SELECT CAST(CAST(:s AS text) AS uuid)", {"s": "no"}, "value-not-storable", 422),
        ("SELECT 1/0", {}, "value-not-storable", 422),
        ("SELECT * FROM nowhere", {}, "internal-error", 500),
        (["SET LOCAL statement_timeout = 50", "SELECT pg_sleep(9)"], {}, "timeout", 503),
        ("DO $$BEGIN RAISE EXCEPTION 'x' USING ERRCODE='40P01'; END$$", {}, "try-again", 503),
        ("SELECT pg_terminate_backend(pg_backend_pid())", {}, "database-unavailable", 503),
    ],
)
async def test_database_errors_become_problems(client, sql, values, slug, status):
    statements = sql if isinstance(sql, list) else [sql]
    answer = await client.post("/v1/things/sql", json={"data": {"sql": statements, "values": values}})
    problem(answer, slug, status)
    assert (answer.headers.get("Retry-After") == "1") == (status == 503)
    assert (await client.get("/v1/things")).status_code == 200


async def test_a_path_there_is_not(client):
    problem(await client.get("/nowhere"), "no-such-route", 404)


async def test_a_method_there_is_not(client):
    answer = await client.delete("/v1/things")
    problem(answer, "method-not-allowed", 405)
    assert answer.headers["Allow"]


async def test_a_malformed_id_in_the_path_is_a_422(client):
    body = problem(await client.get("/v1/things/no-uuid"), "invalid-request", 422)
    assert [(error["pointer"], error["code"]) for error in body["errors"]] == [("thing_id", "uuid_parsing")]


@pytest.mark.parametrize("content", [b'{"name": "desk"', b'{"name": 1}', b'{"name": "desk", "amount_minor": 1}'])
async def test_who_may_not_call_is_told_so_whatever_they_sent(client, content):
    headers = {"Authorization": "Bearer rk_nobody", "Content-Type": "application/json"}
    problem(await client.post("/v1/things", content=content, headers=headers), "unauthenticated", 401)


async def test_our_dependencies_are_solved_without_fastapi(sample):
    """An endpoint gets them all the same: every other test here would fail otherwise."""
    [route] = [one for one in sample.service.app.routes if one.path == "/v1/things" and "POST" in one.methods]
    assert route.dependant.dependencies == []
