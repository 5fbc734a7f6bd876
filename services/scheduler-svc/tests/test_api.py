"""The routes of scheduler-svc, as another system sees them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from remit_testing.scheduler_world import World
from remit_testing.service import client_for, internal_client
from uuid6 import uuid7

from remit_events.state import Hold
from scheduler_svc.policy import EXAMPLE

POLICY: dict[str, Any] = EXAMPLE | {"key": "gentle", "minimum_balance": {}}


class TestFollowUps:
    async def test_the_plan_of_one_invoice(self, world: World) -> None:
        world.at("2026-01-02 08:00")
        customer = await world.customer()
        invoice = await world.issue(customer)
        await world.play("2026-01-31 00:00")
        plan = await world.get("/v1/follow-ups/R1/plan")
        assert plan == await world.get(f"/v1/follow-ups/{invoice.id}/plan")
        steps = {one["step"]: one for one in plan["steps"]}
        assert (steps["courtesy"]["state"], steps["courtesy"]["at"]) == ("sent", "2026-01-26T08:00:00Z")
        assert (steps["second"]["state"], steps["second"]["at"]) == ("planned", "2026-02-09T08:00:00Z")
        assert steps["tomorrow"]["inputs"]["shifted_from"] == "2026-02-01"
        assert plan["follow_up"]["standing"] == "following"
        await world.tell(world.paid(invoice, date(2026, 2, 1)))
        await world.sweep()
        plan = await world.get("/v1/follow-ups/R1/plan")
        assert plan["follow_up"]["standing"] == "closed"
        assert {one["state"] for one in plan["steps"]} == {"sent", "never"}

    async def test_lists(self, world: World) -> None:
        world.at("2026-01-02 08:00")
        one, other = await world.customer("C1"), await world.customer("C2")
        await world.issue(one, "R1")
        await world.issue(other, "R2", due="2026-03-02")
        assert [row["number"] for row in (await world.get("/v1/follow-ups"))["data"]] == ["R1", "R2"]
        assert [r["number"] for r in (await world.get("/v1/follow-ups", customer="C2"))["data"]] == ["R2"]
        assert [r["number"] for r in (await world.get("/v1/follow-ups", customer=str(one.id)))["data"]] == ["R1"]
        due = await world.get("/v1/follow-ups", due_before="2026-02-01T00:00:00Z")
        assert [row["number"] for row in due["data"]] == ["R1"]

    async def test_an_old_debt_waits_for_a_person(self, world: World) -> None:
        customer = await world.customer()
        world.at("2026-03-11 10:00")
        await world.issue(customer, issue="2025-01-02", due="2025-02-03")
        assert await world.settle() == []
        (row,) = (await world.get("/v1/follow-ups"))["data"]
        assert (row["standing"], row["waiting_for"], row["under_review"]) == ("waiting", ["review"], True)
        assert len((await world.get("/v1/follow-ups", under_review=True))["data"]) == 1
        answer = await world.client.post("/v1/follow-ups/R1/release")
        assert answer.json()["enters_on"] == "2026-03-11"
        assert (await world.get("/v1/follow-ups", under_review=True))["data"] == []
        gone = await world.play("2026-03-20 00:00")
        assert [due.step for due in gone] == ["day-after", "second"]
        assert (await world.client.post("/v1/follow-ups/R1/release")).status_code == 409
        assert (await world.client.post("/v1/follow-ups/R2/release")).status_code == 404

    async def test_what_is_foreseen_has_its_reason(self, world: World) -> None:
        world.at("2026-01-02 08:00")
        await world.issue(await world.customer(hold=Hold(reason="talking")), "R1")
        await world.issue(await world.customer("C2", email=None, address=None), "R2")
        world.at("2026-03-07 10:00")  # a Saturday: nothing of it is decided yet
        await world.issue(await world.customer("C3"), "R3", issue="2025-01-02", due="2025-02-03")
        for number, step, state, rule in (
            ("R1", "second", "waiting", "held"),
            ("R2", "second", "suppressed", "no-channel"),
            ("R3", "day-after", "waiting", "review"),
        ):
            plan = await world.get(f"/v1/follow-ups/{number}/plan")
            (one,) = [one for one in plan["steps"] if one["step"] == step]
            assert (one["state"], one["rule"], one["foreseen"]) == (state, rule, True)
            assert plan["follow_up"]["under_review"] is (number == "R3")

    async def test_a_policy_that_there_is_not_is_told(self, world: World) -> None:
        world.at("2026-01-02 08:00")
        plain, named = await world.customer("C1"), await world.customer("C2", policy_key="nope")
        await world.issue(plain, "R1", policy_key="intensive")
        await world.issue(plain, "R2", policy_key="gone")
        await world.issue(named, "R3")
        found = {row["number"]: row for row in (await world.get("/v1/follow-ups"))["data"]}
        assert {number: (row["policy_key"], row["ignored_policy_key"]) for number, row in found.items()} == {
            "R1": ("intensive", None),
            "R2": ("business", "gone"),
            "R3": ("business", "nope"),
        }


class TestDecisions:
    async def test_why_on_a_day(self, world: World) -> None:
        world.at("2026-01-02 08:00")
        invoice = await world.issue(await world.customer(), hold=Hold(reason="talking", until=date(2026, 2, 5)))
        await world.play("2026-02-20 00:00")
        on = await world.get("/v1/decisions", invoice="R1", on="2026-02-04")
        assert [(one["step"], one["rule"], one["on_date"]) for one in on["data"]] == [
            ("day-after", "held", "2026-02-03")
        ]
        (row,) = on["data"]
        assert (row["policy_key"], row["policy_version"], row["timezone"]) == ("business", 1, "Europe/Berlin")
        assert row["inputs"]["hold_until"] == "2026-02-05"
        assert row["until"] == "2026-02-06T08:00:00Z"
        went = await world.get("/v1/decisions", invoice=str(invoice.id), on="2026-02-06")
        assert [(one["step"], one["outcome"]) for one in went["data"]] == [("day-after", "sent")]
        assert (await world.get("/v1/decisions", customer="C1", rule="too-late"))["data"][0]["step"] == "courtesy"
        assert (await world.get("/v1/decisions", customer="C9"))["data"] == []
        since = await world.get("/v1/decisions", updated_since="2026-02-06T08:00:00Z")
        assert [one["step"] for one in since["data"]] == ["day-after", "second", "third"]


class TestContacts:
    async def test_a_call_counts_for_the_gap(self, world: World) -> None:
        customer = await world.customer()
        world.at("2026-01-02 08:00")
        await world.issue(customer)
        world.at("2026-01-26 08:30")
        body = {"customer_external_id": "C1", "channel": "phone", "note": "will look into it"}
        answer = await world.client.post("/v1/contacts", json=body)
        assert answer.status_code == 201
        assert answer.json()["on"] == "2026-01-26"
        gone = await world.play("2026-01-28 00:00")
        assert [due.decided_at.date() for due in gone] == [date(2026, 1, 27)]
        kinds = [one["kind"] for one in (await world.get("/v1/contacts", customer="C1"))["data"]]
        assert kinds == ["manual", "touch"]
        since = await world.get("/v1/contacts", updated_since="2026-01-27T00:00:00Z")
        assert [one["kind"] for one in since["data"]] == ["touch"]

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"channel": "phone"}, 422),
            ({"customer_external_id": "C1", "customer_id": str(uuid7()), "channel": "phone"}, 422),
            ({"customer_external_id": "C1", "channel": "pigeon"}, 422),
            ({"customer_external_id": "C1", "channel": "phone", "on": "2026-01-03"}, 422),
            ({"customer_external_id": "C1", "channel": "phone", "on": "1999-01-03"}, 422),
            ({"customer_external_id": "C1", "channel": "phone", "note": "a\x00b"}, 422),
            ({"customer_external_id": "C1", "channel": "phone", "extra": 1}, 422),
            ({"customer_external_id": "nobody", "channel": "phone"}, 404),
            ({"customer_id": str(uuid7()), "channel": "phone"}, 404),
        ],
    )
    async def test_bad_input(self, world: World, body: dict[str, Any], status: int) -> None:
        await world.customer()
        answer = await world.client.post("/v1/contacts", json=body)
        assert answer.status_code == status
        assert await world.rows("SELECT 1 FROM contact") == []


class TestAutomation:
    async def test_off_defers_and_on_catches_up(self, world: World) -> None:
        assert (await world.get("/v1/automation"))["on"] is True
        customer = await world.customer()
        world.at("2026-01-02 08:00")
        await world.issue(customer)
        off = await world.client.put("/v1/automation", json={"on": False, "reason": "wrong amounts"})
        assert (off.status_code, off.json()["on"], off.json()["changed_by"]) == (200, False, "test")
        assert await world.play("2026-02-10 12:00") == []
        assert (await world.log())[-1] == ("second", "deferred", "automation-off")
        await world.client.put("/v1/automation", json={"on": True})
        (due,) = await world.settle()
        assert due.step == "second"

    async def test_other_services_ask_for_any_seller(self, world: World) -> None:
        await world.client.put("/v1/automation", json={"on": False})
        async with internal_client(world.service) as internal:
            mine = await internal.get("/v1/automation", params={"seller_id": str(world.seller.id)})
            assert mine.json()["on"] is False
            other = await internal.get("/v1/automation", params={"seller_id": str(uuid7())})
            assert other.json()["on"] is True
            assert (await internal.get("/v1/automation")).status_code == 422
        again = await world.client.get("/v1/automation", params={"seller_id": str(uuid7())})
        assert again.json()["on"] is False, "a seller's key sees its own switch only"

    async def test_if_match(self, world: World) -> None:
        first = await world.client.get("/v1/automation")
        await world.client.put("/v1/automation", json={"on": False})
        stale = {"If-Match": first.headers["etag"]}
        assert (await world.client.put("/v1/automation", json={"on": True}, headers=stale)).status_code == 412


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/decisions", "updated_since"),
        ("/v1/contacts", "updated_since"),
        ("/v1/follow-ups", "updated_since"),
        ("/v1/follow-ups", "due_before"),
        ("/v1/plans", "until"),
    ],
)
async def test_a_moment_needs_its_offset(world: World, path: str, name: str) -> None:
    answer = await world.client.get(path, params={name: "2026-02-06T08:00:00"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, name)


async def test_a_seller_sees_only_its_own(world: World) -> None:
    world.at("2026-01-02 08:00")
    invoice = await world.issue(await world.customer())
    await world.play("2026-01-27 00:00")
    await world.save_policy(POLICY)
    async with await client_for(world.service) as other:
        assert (await other.get("/v1/plans")).json()["data"] == []
        for path in ("/v1/follow-ups", "/v1/decisions", "/v1/contacts"):
            assert (await other.get(path)).json()["data"] == []
            assert (await other.get(path, params={"customer": "C1"})).json()["data"] == []
        assert (await other.get(f"/v1/follow-ups/{invoice.id}/plan")).status_code == 404
        assert (await other.post(f"/v1/follow-ups/{invoice.id}/release")).status_code == 404
        assert (await other.get("/v1/policies/gentle/versions/1")).status_code == 404
        body = {"customer_id": str(invoice.customer_id), "channel": "phone"}
        assert (await other.post("/v1/contacts", json=body)).status_code == 404
        answer = await other.post("/v1/policies/gentle/versions/1/migrate", json={"from_key": "business"})
        assert answer.status_code == 404
        await other.put("/v1/automation", json={"on": False})
    assert (await world.get("/v1/automation"))["on"] is True


@pytest.mark.parametrize(
    ("scopes", "path", "method", "status"),
    [
        (("schedule:read",), "/v1/follow-ups", "GET", 200),
        (("schedule:read",), "/v1/contacts", "POST", 403),
        (("schedule:write",), "/v1/decisions", "GET", 403),
        (("automation:read",), "/v1/automation", "PUT", 403),
        (("schedule:read",), "/v1/automation", "GET", 403),
    ],
)
async def test_scopes(world: World, scopes: tuple[str, ...], path: str, method: str, status: int) -> None:
    async with await client_for(world.service, scopes=scopes) as client:
        body = None if method == "GET" else {"on": True}
        assert (await client.request(method, path, json=body)).status_code == status


async def test_every_operation_says_what_it_takes_gives_and_refuses(world: World) -> None:
    document = (await world.client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answers = operation["responses"]
            assert all("application/problem+json" in answers[refused]["content"] for refused in ("401", "403")), path
            good = next(answer for status, answer in answers.items() if status.startswith("2"))
            name = good["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
            assert _exampled(schemas, name), (method, path, name)


def _exampled(schemas: dict[str, Any], name: str) -> bool:
    """It has an example, or all it is made of have."""
    parts = [part["$ref"].rsplit("/", 1)[-1] for part in _parts(schemas[name]) if "$ref" in part]
    return bool(schemas[name].get("examples")) or (bool(parts) and all(_exampled(schemas, part) for part in parts))


def _parts(schema: dict[str, Any]) -> list[dict[str, Any]]:
    properties = schema.get("properties", {}).values()
    return [part.get("items", part) for part in properties]
