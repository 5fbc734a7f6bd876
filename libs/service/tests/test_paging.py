"""Lists: every row once, in a stable order, whatever is added meanwhile."""

from __future__ import annotations

from datetime import timedelta

import pytest
from remit_testing.service import client_for

from remit_service.paging import encode_cursor


@pytest.fixture
async def client(sample):
    async with await client_for(sample.service) as opened:
        yield opened


async def make(client, count: int, prefix: str = "t") -> list[str]:
    made = [await client.post("/v1/things", json={"name": f"{prefix}{n}", "amount_minor": 1}) for n in range(count)]
    return [answer.json()["id"] for answer in made]


async def walk(client, limit: int, **query) -> list[list[str]]:
    pages, cursor = [], None
    while True:
        asked = {"limit": limit} | query | ({"cursor": cursor} if cursor else {})
        body = (await client.get("/v1/things", params=asked)).json()
        pages.append([row["id"] for row in body["data"]])
        cursor = body["next_cursor"]
        if cursor is None:
            return pages


@pytest.mark.parametrize("limit", [1, 3, 7, 8, 200])
async def test_pages_cover_the_list_once(client, limit):
    ids = await make(client, 7)
    pages = await walk(client, limit)
    assert [one for page in pages for one in page] == ids
    assert all(len(page) == limit for page in pages[:-1])


async def test_ties_and_order_backwards(sample, client):
    ids = await make(client, 3)
    sample.clock.set(sample.clock.now() + timedelta(seconds=1))
    ids += await make(client, 3)
    pages = await walk(client, 2, newest=True)
    assert [one for page in pages for one in page] == list(reversed(ids))


async def test_rows_added_meanwhile_neither_hide_nor_double(client):
    first = await make(client, 4)
    page = (await client.get("/v1/things?limit=2")).json()
    later = await make(client, 2, "later")
    rest = (await client.get("/v1/things", params={"cursor": page["next_cursor"]})).json()
    assert [row["id"] for row in page["data"] + rest["data"]] == first + later


async def test_the_last_full_page_has_no_cursor(client):
    await make(client, 2)
    assert (await client.get("/v1/things?limit=2")).json()["next_cursor"] is None


@pytest.mark.parametrize(
    "cursor",
    ["x", "%00",
     "A" * 999, encode_cursor([1, 2]), encode_cursor(["2026-01-01T00:00:00+00:00"]), encode_cursor([None, None]),
     encode_cursor(["2026-01-01T00:00:00", "\x00"]), encode_cursor({"a": 1, "b": 2})],
)  # fmt: skip
async def test_a_cursor_that_is_none_of_ours(client, cursor):
    answer = await client.get("/v1/things", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "cursor")


async def test_if_match_guards_an_update(client):
    (made,) = await make(client, 1)
    body = {"name": "new", "amount_minor": 1}
    tag = (await client.get(f"/v1/things/{made}")).headers["ETag"]
    assert (await client.put(f"/v1/things/{made}", json=body)).status_code == 428
    stale = await client.put(f"/v1/things/{made}", json=body, headers={"If-Match": '"0"'})
    assert (stale.status_code, stale.headers["ETag"]) == (412, tag)
    for given in (tag, '"2", "9"', "*"):
        assert (await client.put(f"/v1/things/{made}", json=body, headers={"If-Match": given})).status_code == 200
    assert (await client.get(f"/v1/things/{made}")).headers["ETag"] == '"4"'
