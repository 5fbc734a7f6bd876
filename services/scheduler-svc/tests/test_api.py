"""The routes of scheduler-svc, as another system sees them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from remit_testing.scheduler_world import World
from remit_testing.service import client_for, internal_client
from uuid6 import uuid7

from remit_events.schedule import PaymentDue
from remit_events.state import Hold
from scheduler_svc.policy import EXAMPLE

POLICY: dict[str, Any] = EXAMPLE | {"key": "gentle", "minimum_balance": {}}


async def save(world: World, body: dict[str, Any], **params: Any) -> dict[str, Any]:
    answer = await world.client.post(f"/v1/policies/{body['key']}/versions", json=body, params=params)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def get(world: World, path: str, **params: Any) -> dict[str, Any]:
    answer = await world.client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


class TestPolicies:
    async def test_sellers_begin_with_the_shipped_ones(self, world: World) -> None:
        found = {one["key"]: one for one in (await get(world, "/v1/policies"))["data"]}
        assert {key: one["assigned_to"] for key, one in found.items()} == {
            "business": ["business"],
            "government": ["government"],
            "individual": ["individual"],
            "intensive": [],
        }
        assert found["business"]["policy"]["window"]["from"] == "09:00:00"

    async def test_each_save_is_the_next_version_and_none_changes(self, world: World) -> None:
        assert (await save(world, POLICY))["version"] == 1
        assert (await save(world, POLICY | {"minimum_gap_days": 2}))["version"] == 2
        first = await get(world, "/v1/policies/gentle/versions/1")
        assert first["policy"]["minimum_gap_days"] == 1
        versions = await get(world, "/v1/policies/gentle/versions")
        assert [one["version"] for one in versions["data"]] == [1, 2]

    async def test_followed_invoices_stay_on_their_version_until_moved_on_purpose(self, world: World) -> None:
        customer = await world.customer()
        world.at("2026-01-02 08:00")
        invoice = await world.issue(customer)
        await save(world, POLICY | {"key": "business"}, assign="business")
        await world.issue(customer, "R2")
        rows = await world.rows("SELECT number, policy_version FROM follow_up ORDER BY number")
        assert [tuple(row) for row in rows] == [("R1", 1), ("R2", 2)]
        world.at("2026-01-28 08:00")
        answer = await world.client.post("/v1/policies/business/versions/2/migrate", json={})
        assert answer.json() == {"key": "business", "version": 2, "follow_ups": 1}
        await world.settle()
        plan = await get(world, f"/v1/follow-ups/{invoice.id}/plan")
        states = [(step["step"], step["state"], step["rule"]) for step in plan["steps"]]
        assert states[0] == ("courtesy", "skipped", "before-entry")
        assert [state for _, state, _ in states[1:]] == ["planned", "planned"]

    async def test_for_every_customer(self, world: World) -> None:
        world.at("2026-01-02 08:00")
        await save(world, POLICY, assign_all=True)
        await world.issue(await world.customer("C1", profile="government"), "R1")
        await world.issue(await world.customer("C2", policy_key="intensive"), "R2")
        await world.issue(await world.customer("C3"), "R3", policy_key="business")
        await world.issue(await world.customer("C4", policy_key="nonsense"), "R4")
        rows = await world.rows("SELECT number, policy_key FROM follow_up ORDER BY number")
        assert [row.policy_key for row in rows] == ["gentle", "intensive", "business", "gentle"]
        answer = await world.client.put("/v1/policies/business/assignment", json={"profiles": ["government"]})
        assert answer.json()["assigned_to"] == ["business", "government"]

    @pytest.mark.parametrize(
        ("change", "pointer", "code"),
        [
            ({"steps": []}, "/steps", "empty"),
            ({"steps": [POLICY["steps"][1], POLICY["steps"][0]]}, "/steps/1/offset", "unsorted"),
            ({"steps": [POLICY["steps"][0], POLICY["steps"][0]]}, "/steps/1/key", "duplicate"),
            ({"steps": [POLICY["steps"][0] | {"tone": "rude"}]}, "/steps/0/tone", None),
            ({"steps": [POLICY["steps"][0] | {"channels": ["fax"]}]}, "/steps/0/channels/0", None),
            ({"window": {"from": "17:00", "to": "09:00"}}, "/window/to", "empty-window"),
            ({"window": {"from": "25:00", "to": "26:00"}}, "/window/from", None),
            ({"window": POLICY["window"] | {"days": []}}, "/window/days", None),
            ({"minimum_gap_days": -1}, "/minimum_gap_days", None),
            ({"contact_cap": {"contacts": 0, "days": 7}}, "/contact_cap/contacts", None),
            ({"minimum_balance": {"EURO": 1}}, "/minimum_balance/EURO", "unknown-currency"),
            ({"speed": "fast"}, "/speed", None),
            ({"key": "other"}, "/key", "other-key"),
        ],
    )
    async def test_what_cannot_work_is_refused_by_its_pointer(
        self, world: World, change: dict[str, Any], pointer: str, code: str | None
    ) -> None:
        answer = await world.client.post("/v1/policies/gentle/versions", json=POLICY | change)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        errors = {one["pointer"]: one for one in answer.json()["errors"]}
        assert pointer in errors
        assert code in (None, errors[pointer]["code"])
        assert (await world.client.get("/v1/policies/gentle/versions")).status_code == 404

    async def test_a_window_the_law_forbids_is_not_for_individuals(self, world: World) -> None:
        late = POLICY | {"window": {"from": "21:30", "to": "23:00"}}
        for params in ({"assign": "individual"}, {"assign_all": True}):
            answer = await world.client.post("/v1/policies/gentle/versions", json=late, params=params)
            assert answer.status_code == 422
            assert "law" in answer.json()["detail"]
        assert (await save(world, late, assign="business"))["assigned_to"] == ["business"]


class TestPlans:
    async def test_what_would_leave_is_what_then_leaves(self, world: World) -> None:
        world.at("2026-01-02 08:00")
        for name in ("C1", "C2", "C3"):
            customer = await world.customer(name, email="shared@x.example" if name != "C3" else "c3@x.example")
            await world.issue(customer, f"R-{name}")
            await world.issue(customer, f"S-{name}", due="2026-02-05")
        plans = await get(world, "/v1/plans", until="2026-03-31T00:00:00Z")
        messages = [one for one in plans["data"] if one["customer_external_id"] == "C3"]
        gone = await world.play("2026-03-30 00:00")
        mine = [due for due in gone if due.items[0].invoice.number.endswith("C3")]
        assert [(one["at"], one["step"], [item["number"] for item in one["items"]]) for one in messages] == [
            (due.decided_at.isoformat().replace("+00:00", "Z"), due.step, [item.invoice.number for item in due.items])
            for due in mine
        ]
        first = messages[0]
        assert first["items"][0]["days_overdue"] == -7
        assert (first["customer_name"], first["policy_key"], first["template"]) == ("Kunde", "business", "courtesy")

    async def test_who_is_skipped_and_why(self, world: World) -> None:
        world.at("2026-01-02 08:00")
        customer = await world.customer(email=None, address=None)
        await world.issue(customer)
        held = await world.customer("C2", hold=Hold(reason="talking"))
        await world.issue(held, "R2", due="2026-01-20", issue="2026-01-01")
        await world.play("2026-01-27 00:00")
        plans = await get(world, "/v1/plans", until="2026-02-04T00:00:00Z")
        assert plans["data"] == []
        skipped = {(one["invoice_number"], one["step"]): (one["rule"], one["standing"]) for one in plans["skipped"]}
        assert skipped[("R1", "tomorrow")] == ("no-channel", False)
        assert skipped[("R2", "day-after")] == ("held", True)

    async def test_customers_are_paged(self, world: World) -> None:
        world.at("2026-01-02 08:00")
        for n in range(5):
            await world.issue(await world.customer(f"C{n}"), f"R{n}")
        seen: list[str] = []
        cursor = None
        while True:
            params = {"limit": 2, "until": "2026-01-27T00:00:00Z"} | ({"cursor": cursor} if cursor else {})
            page = await get(world, "/v1/plans", **params)
            seen += [one["customer_external_id"] for one in page["data"]]
            cursor = page["next_cursor"]
            if not cursor:
                break
        assert seen == [f"C{n}" for n in range(5)]
        assert (await world.client.get("/v1/plans", params={"until": "2030-01-01T00:00:00Z"})).status_code == 422
        assert (await world.client.get("/v1/plans", params={"until": "2026-01-03T00:00:00"})).status_code == 422

    async def test_a_preview_changes_nothing(self, world: World) -> None:
        world.at("2026-01-02 08:00")
        await world.issue(await world.customer())
        world.at("2026-01-26 09:00")
        assert len((await get(world, "/v1/plans"))["data"]) == 4
        assert await world.log() == []
        assert await world.published(PaymentDue) == []


class TestFollowUps:
    async def test_the_plan_of_one_invoice(self, world: World) -> None:
        world.at("2026-01-02 08:00")
        customer = await world.customer()
        invoice = await world.issue(customer)
        await world.play("2026-01-31 00:00")
        plan = await get(world, "/v1/follow-ups/R1/plan")
        assert plan == await get(world, f"/v1/follow-ups/{invoice.id}/plan")
        steps = {one["step"]: one for one in plan["steps"]}
        assert (steps["courtesy"]["state"], steps["courtesy"]["at"]) == ("sent", "2026-01-26T08:00:00Z")
        assert (steps["second"]["state"], steps["second"]["at"]) == ("planned", "2026-02-09T08:00:00Z")
        assert steps["tomorrow"]["inputs"]["shifted_from"] == "2026-02-01"
        assert plan["follow_up"]["standing"] == "following"
        await world.tell(world.paid(invoice, date(2026, 2, 1)))
        await world.sweep()
        plan = await get(world, "/v1/follow-ups/R1/plan")
        assert plan["follow_up"]["standing"] == "closed"
        assert {one["state"] for one in plan["steps"]} == {"sent", "never"}

    async def test_lists(self, world: World) -> None:
        world.at("2026-01-02 08:00")
        one, other = await world.customer("C1"), await world.customer("C2")
        await world.issue(one, "R1")
        await world.issue(other, "R2", due="2026-03-02")
        assert [row["number"] for row in (await get(world, "/v1/follow-ups"))["data"]] == ["R1", "R2"]
        assert [r["number"] for r in (await get(world, "/v1/follow-ups", customer="C2"))["data"]] == ["R2"]
        assert [r["number"] for r in (await get(world, "/v1/follow-ups", customer=str(one.id)))["data"]] == ["R1"]
        due = await get(world, "/v1/follow-ups", due_before="2026-02-01T00:00:00Z")
        assert [row["number"] for row in due["data"]] == ["R1"]

    async def test_an_old_debt_waits_for_a_person(self, world: World) -> None:
        customer = await world.customer()
        world.at("2026-03-11 10:00")
        await world.issue(customer, issue="2025-01-02", due="2025-02-03")
        assert await world.settle() == []
        (row,) = (await get(world, "/v1/follow-ups"))["data"]
        assert (row["standing"], row["waiting_for"]) == ("waiting", ["review"])
        answer = await world.client.post("/v1/follow-ups/R1/release")
        assert answer.json()["enters_on"] == "2026-03-11"
        gone = await world.play("2026-03-20 00:00")
        assert [due.step for due in gone] == ["day-after", "second"]
        assert (await world.client.post("/v1/follow-ups/R1/release")).status_code == 409
        assert (await world.client.post("/v1/follow-ups/R2/release")).status_code == 404


class TestDecisions:
    async def test_why_on_a_day(self, world: World) -> None:
        world.at("2026-01-02 08:00")
        invoice = await world.issue(await world.customer(), hold=Hold(reason="talking", until=date(2026, 2, 5)))
        await world.play("2026-02-20 00:00")
        on = await get(world, "/v1/decisions", invoice="R1", on="2026-02-04")
        assert [(one["step"], one["rule"], one["on_date"]) for one in on["data"]] == [
            ("day-after", "held", "2026-02-03")
        ]
        (row,) = on["data"]
        assert (row["policy_key"], row["policy_version"], row["timezone"]) == ("business", 1, "Europe/Berlin")
        assert row["inputs"]["hold_until"] == "2026-02-05"
        assert row["until"] == "2026-02-06T08:00:00Z"
        went = await get(world, "/v1/decisions", invoice=str(invoice.id), on="2026-02-06")
        assert [(one["step"], one["outcome"]) for one in went["data"]] == [("day-after", "sent")]
        assert (await get(world, "/v1/decisions", customer="C1", rule="too-late"))["data"][0]["step"] == "courtesy"
        assert (await get(world, "/v1/decisions", customer="C9"))["data"] == []


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
        kinds = [one["kind"] for one in (await get(world, "/v1/contacts", customer="C1"))["data"]]
        assert kinds == ["manual", "touch"]

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
        assert (await get(world, "/v1/automation"))["on"] is True
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


async def test_a_seller_sees_only_its_own(world: World) -> None:
    world.at("2026-01-02 08:00")
    invoice = await world.issue(await world.customer())
    await world.play("2026-01-27 00:00")
    await save(world, POLICY)
    async with await client_for(world.service) as other:
        for path in ("/v1/follow-ups", "/v1/decisions", "/v1/contacts", "/v1/plans"):
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
    assert (await get(world, "/v1/automation"))["on"] is True


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
