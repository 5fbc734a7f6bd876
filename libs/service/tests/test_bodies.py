"""Bad input: each field named by pointer, with the way out, and never a 500."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from remit_testing.service import client_for

from remit_service.api import Body, field_errors
from remit_service.problems import LONGEST_VALUE, MEDIA_TYPE, shown

THING = {"name": "shelf", "amount_minor": 100}


@pytest.fixture(scope="module")
async def client(sample):
    async with await client_for(sample.service) as opened:
        yield opened


async def errors(client, body) -> list[tuple[str, str]]:
    answer = await client.post("/v1/things", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    found = answer.json()
    assert found["type"] == "urn:remit:problem:invalid-request"
    for error in found["errors"]:
        assert set(error) == {"pointer", "code", "detail", "value"}
        assert error["detail"].endswith(".")
    return [(error["pointer"], error["code"]) for error in found["errors"]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"amount_minor": 0}, ("/amount_minor", "greater_than")),
        ({"amount_minor": -5}, ("/amount_minor", "greater_than")),
        ({"amount_minor": 10**16}, ("/amount_minor", "less_than_equal")),
        ({"amount_minor": 10**400}, ("/amount_minor", "less_than_equal")),
        ({"amount_minor": "100"}, ("/amount_minor", "int_type")),
        ({"amount_minor": 1.5}, ("/amount_minor", "int_type")),
        ({"amount_minor": None}, ("/amount_minor", "int_type")),
        ({"amount_minor": True}, ("/amount_minor", "int_type")),
        ({"colour": "red"}, ("/colour", "extra_forbidden")),
        ({"a/b~c": 1}, ("/a~1b~0c", "extra_forbidden")),
        ({"name": ""}, ("/name", "string_too_short")),
        ({"name": "   "}, ("/name", "string_too_short")),
        ({"name": "x" * 101}, ("/name", "string_too_long")),
        ({"name": "two\nlines"}, ("/name", "line_break")),
        ({"name": "a\x00b"}, ("/name", "control_character")),
        ({"name": "a\x1bb"}, ("/name", "control_character")),
        ({"name": "a\x85b"}, ("/name", "control_character")),
        ({"note": "a\x7fb"}, ("/note", "control_character")),
        ({"name": ["a"]}, ("/name", "string_type")),
    ],
)
async def test_a_field_that_cannot_be(client, change, expected):
    assert await errors(client, THING | change) == [expected]


async def test_every_field_at_fault_is_named(client):
    assert await errors(client, {"amount_minor": 0, "colour": 1}) == [
        ("/name", "missing"),
        ("/amount_minor", "greater_than"),
        ("/colour", "extra_forbidden"),
    ]


@pytest.mark.parametrize("body", [[], "text", 5, None])
async def test_a_body_that_is_no_object(client, body):
    answer = await client.post("/v1/things", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, MEDIA_TYPE)


async def test_a_body_that_is_missing(client):
    answer = await client.post("/v1/things")
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    way_out = "Send a JSON body with `name`, `amount_minor`."
    assert error == {"pointer": "", "code": "missing", "detail": way_out, "value": None}
    assert answer.json()["detail"] == f"One field is not acceptable, beginning with the body: {way_out}"


@pytest.mark.parametrize(
    "content",
    [b"{", b"{'a': 1}", b'{"name": "\xff"}', b"\xff\xfe", b"[" * 5000, b'{"amount_minor": ' + b"9" * 5000 + b"}"],
)
async def test_a_body_that_is_no_json_is_a_400(client, content):
    answer = await client.post("/v1/things", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, MEDIA_TYPE), answer.text


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
async def test_a_body_of_another_type_is_a_415(client, kind):
    answer = await client.post("/v1/things", content=json.dumps(THING), headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["type"]) == (415, "urn:remit:problem:unsupported-media-type")


async def test_json_by_another_name_is_taken(client):
    kind = {"Content-Type": "application/vnd.remit+json; charset=utf-8"}
    assert (await client.post("/v1/things", content=json.dumps(THING), headers=kind)).status_code == 201


async def test_free_json_is_searched_for_control_characters_too(client):
    answer = await client.post(
        "/v1/things/sql", json={"data": {"a": [{"b": "x\x00"}], "k\x00": 1, "ok": "tab\tline\n"}}
    )
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/data/a/0/b", "/data/'k\\x00'"]


async def test_lone_surrogates_are_refused(client):
    for content in (b'{"name": "\\ud800", "amount_minor": 1}', b'{"data": {"x": "\\udfff"}}'):
        path = "/v1/things/sql" if b"data" in content else "/v1/things"
        answer = await client.post(path, content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "control_character")


@pytest.mark.parametrize(
    "name", ["שלום עולם", "😀👩‍👩‍👧", "e\u0301", "\u00e9", "x" * 100, "O'Brien; DROP TABLE thing;--", "{{7*7}}"]
)
async def test_odd_but_sound_text_comes_back_as_it_went_in(client, name):
    made = await client.post("/v1/things", json=THING | {"name": name})
    assert made.status_code == 201
    assert (await client.get(made.headers["Location"])).json()["name"] == name


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("cursor=abc", "cursor"),
        ("newest=maybe", "newest"),
    ],
)
async def test_a_query_parameter_that_cannot_be(client, query, pointer):
    answer = await client.get(f"/v1/things?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(categories=None), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=json_values)
async def test_no_json_makes_a_500(sample, client, body):
    content = json.dumps(body).encode()
    for path in ("/v1/things", "/v1/things/sql"):
        given_ = {"data": {"sql": ["SELECT 1"], "values": {}, "x": body}} if path.endswith("sql") else body
        content = json.dumps(given_).encode()
        answer = await client.post(path, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code in (201, 400, 422), answer.text
        assert json.loads(answer.content) is not None


@settings(max_examples=300, deadline=None)
@given(value=json_values | st.binary(max_size=5) | st.sets(st.integers()))
def test_a_value_quoted_back_is_json_and_short(value):
    quoted = shown(value)
    json.dumps(quoted, allow_nan=False).encode()
    length = len(quoted) if isinstance(quoted, str) else len(to_json(quoted).decode())
    assert length <= LONGEST_VALUE + 10  # a number may be written a little longer again


def test_deep_nesting_is_refused_before_it_costs():
    deep: object = "x"
    for _ in range(60):
        deep = {"d": deep}
    with pytest.raises(ValidationError, match="too deeply"):
        _Free.model_validate({"data": deep})


class _Free(Body):
    data: dict[str, object]


class _Line(BaseModel):
    amount: int


def test_a_part_of_a_batch_points_into_the_whole():
    with pytest.raises(ValidationError) as caught:
        _Line.model_validate({"amount": "x"})
    found = field_errors(caught.value.errors(), prefix="/lines/3")
    assert [(error.pointer, error.code) for error in found] == [("/lines/3/amount", "int_parsing")]
