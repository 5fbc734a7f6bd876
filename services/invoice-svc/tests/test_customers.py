"""Customers: upsert by external id, notes, lists."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

BODY = {"name": "Kessler", "country": "DE", "profile": "business"}


async def test_put_by_external_id(world: Any) -> None:
    url = "/v1/customers/by-external-id/K-1"
    made = await world.client.put(url, json=BODY)
    assert (made.status_code, made.json()["timezone"], made.headers["etag"]) == (201, "Europe/Berlin", '"1"')
    same = await world.client.put(url, json=BODY | {"external_id": "K-1"})
    assert (same.status_code, same.json()["version"]) == (200, 1)
    changed = await world.client.put(url, json=BODY | {"email": "k@x.example"}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    assert (await world.client.put(url, json=BODY, headers={"If-Match": '"1"'})).status_code == 412
    assert (await world.client.put(url, json=BODY | {"external_id": "K-2"})).status_code == 422
    new = await world.client.put("/v1/customers/by-external-id/K-9", json=BODY, headers={"If-Match": '"1"'})
    assert new.status_code == 412
    events = await world.events()
    assert [(event.customer.version, event.customer.email) for event in events] == [(1, None), (2, "k@x.example")]


async def test_an_external_id_with_a_slash(world: Any) -> None:
    url = "/v1/customers/by-external-id/2026%2FK%2F7"
    assert (await world.client.put(url, json=BODY)).json()["external_id"] == "2026/K/7"
    assert (await world.get(url))["name"] == "Kessler"


async def test_put_by_id(world: Any) -> None:
    made = await world.customer()
    url = f"/v1/customers/{made['id']}"
    assert (await world.client.put(url, json=BODY)).status_code == 428
    assert (await world.client.put(url, json=BODY, headers={"If-Match": '"9"'})).status_code == 412
    changed = await world.client.put(url, json=BODY, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.json()["name"]) == (200, "Kessler")


async def test_an_unstated_profile_is_an_individual(world: Any) -> None:
    made = await world.post("/v1/customers", {"external_id": "P", "name": "P", "country": "DE"})
    assert (made["profile"], made["sms_consent"]) == ("individual", False)


async def test_notes(world: Any) -> None:
    first = await world.customer(email="Same@x.example", phone="+4930123456", timezone="Europe/Berlin")
    assert first["notes"] == []
    blank = await world.customer(country="AT")
    assert blank["notes"] == [f"Customer {blank['external_id']}: time zone Europe/Vienna filled in, as AT has one."]
    several = await world.customer(country="US")
    assert several["timezone"] is None
    assert "several time zones" in several["notes"][0]
    second = await world.customer(email="same@X.example", phone="+49 30 123456", timezone="Europe/Berlin")
    assert [first["external_id"] in note for note in second["notes"]] == [True, True]


async def test_a_country_whose_holidays_are_unknown(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unknown:
        known = False

    monkeypatch.setattr("invoice_svc.customer_notes.calendar", lambda _country: Unknown())
    made = await world.customer(country="AQ", timezone="Antarctica/Troll")
    assert ["holidays of AQ are unknown" in note for note in made["notes"]] == [True]


async def test_lists(world: Any) -> None:
    made = [await world.customer() for _ in range(5)]
    ids, cursor = [], None
    while True:
        page = await world.get("/v1/customers", limit=2, **({"cursor": cursor} if cursor else {}))
        ids += [one["id"] for one in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert ids == [one["id"] for one in made]
    assert len((await world.get("/v1/customers", updated_since="2026-03-02T09:00:00Z"))["data"]) == 5
    assert (await world.get("/v1/customers", updated_since="2026-03-02T09:00:01Z"))["data"] == []
    [one] = (await world.get("/v1/customers", external_id=made[3]["external_id"]))["data"]
    assert one["id"] == made[3]["id"]


async def test_invoice_lists(world: Any) -> None:
    berlin, west = await world.customer(), await world.customer(country="US", timezone="Pacific/Honolulu")
    old = await world.invoice(berlin, issue_date="2026-01-01", due_date="2026-02-01", external_id="E-1")
    today = await world.invoice(berlin, issue_date="2026-01-01", due_date="2026-03-02")
    here = await world.invoice(berlin, issue_date="2026-01-01", due_date="2026-03-01", number="H")
    there = await world.invoice(west, issue_date="2026-01-01", due_date="2026-03-01")
    paid = await world.invoice(berlin, issue_date="2026-01-01", due_date="2026-02-01")
    await world.pay(paid, 10_000)
    none = await world.invoice(west, due_date=None)
    draft = await world.invoice(west, draft=True)

    async def found(**params: Any) -> list[str]:
        return [one["id"] for one in (await world.get("/v1/invoices", **params))["data"]]

    def ids(*invoices: Any) -> list[str]:
        return [one["id"] for one in invoices]

    # In Honolulu it is still the first of March.
    assert await found(overdue=True) == ids(old, here)
    assert await found(overdue=False) == ids(today, there, paid, none, draft)
    assert await found(customer=west["id"], status="open") == ids(there, none)
    assert await found(customer=west["external_id"]) == ids(there, none, draft)
    assert await found(due_before="2026-03-01") == ids(old, paid)
    assert await found(number="H") == ids(here)
    assert await found(external_id="E-1") == ids(old)
    assert await found(updated_since=datetime(2026, 3, 3, tzinfo=UTC).isoformat()) == []
    assert await found(status="paid") == ids(paid)
    assert await found(status="draft") == ids(draft)
