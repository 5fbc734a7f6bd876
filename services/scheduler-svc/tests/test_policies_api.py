"""`/v1/policies`: versions, assignment, migration, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from remit_testing.scheduler_world import World

from scheduler_svc.policy import EXAMPLE

POLICY: dict[str, Any] = EXAMPLE | {"key": "gentle", "minimum_balance": {}}


async def test_sellers_begin_with_the_shipped_ones(world: World) -> None:
    found = {one["key"]: one for one in (await world.get("/v1/policies"))["data"]}
    assert {key: one["assigned_to"] for key, one in found.items()} == {
        "business": ["business"],
        "government": ["government"],
        "individual": ["individual"],
        "intensive": [],
    }


async def test_what_is_shown_can_be_saved_again(world: World) -> None:
    shown = (await world.get("/v1/policies"))["data"][0]["policy"]
    saved = await world.save_policy(shown | {"minimum_gap_days": 2})
    assert saved["policy"] == shown | {"minimum_gap_days": 2}
    assert saved["policy"]["window"]["from"] == "09:00"


async def test_each_save_is_the_next_version_and_none_changes(world: World) -> None:
    assert (await world.save_policy(POLICY))["version"] == 1
    assert (await world.save_policy(POLICY | {"minimum_gap_days": 2}))["version"] == 2
    first = await world.get("/v1/policies/gentle/versions/1")
    assert first["policy"]["minimum_gap_days"] == 1
    versions = await world.get("/v1/policies/gentle/versions")
    assert [one["version"] for one in versions["data"]] == [1, 2]


async def test_policies_saved_since_a_moment_are_listed_in_their_newest_version(world: World) -> None:
    await world.save_policy(POLICY)
    world.at("2026-03-02 08:00")
    since = world.clock.now().isoformat()
    assert (await world.get("/v1/policies", updated_since=since))["data"] == []
    for days in (2, 3):
        await world.save_policy(POLICY | {"minimum_gap_days": days})
    await world.save_policy(POLICY | {"key": "other"})
    page = await world.get("/v1/policies", updated_since=since, limit=1)
    rest = await world.get("/v1/policies", updated_since=since, cursor=page["next_cursor"])
    found = [(one["key"], one["version"]) for one in [*page["data"], *rest["data"]]]
    assert (found, rest["next_cursor"]) == ([("gentle", 3), ("other", 1)], None)


async def test_followed_invoices_stay_on_their_version_until_moved_on_purpose(world: World) -> None:
    customer = await world.customer()
    world.at("2026-01-02 08:00")
    invoice = await world.issue(customer)
    await world.save_policy(POLICY | {"key": "business"}, assign=["business", "business"])
    await world.issue(customer, "R2")
    rows = await world.rows("SELECT number, policy_version FROM follow_up ORDER BY number")
    assert [tuple(row) for row in rows] == [("R1", 1), ("R2", 2)]
    world.at("2026-01-28 08:00")
    answer = await world.client.post("/v1/policies/business/versions/2/migrate", json={})
    assert answer.json() == {"key": "business", "version": 2, "follow_ups": 1}
    await world.settle()
    plan = await world.get(f"/v1/follow-ups/{invoice.id}/plan")
    states = [(step["step"], step["state"], step["rule"]) for step in plan["steps"]]
    assert states[0] == ("courtesy", "skipped", "before-entry")
    assert [state for _, state, _ in states[1:]] == ["planned", "planned"]


async def test_moved_on_is_the_date_at_the_customers_place(world: World) -> None:
    world.at("2026-01-02 08:00")
    for name, given in {"C1": {"country": "US"}, "C2": {"country": "NZ"}, "C3": {"country": "DE"}}.items():
        await world.issue(await world.customer(name, timezone=None, **given), f"R-{name}")
    await world.save_policy(POLICY | {"key": "business"})
    world.at("2026-01-29 02:00", zone="UTC")
    answer = await world.client.post("/v1/policies/business/versions/2/migrate", json={})
    assert answer.json()["follow_ups"] == 3
    rows = await world.rows("SELECT number, migrated_on FROM follow_up ORDER BY number")
    assert [str(row.migrated_on) for row in rows] == ["2026-01-28", "2026-01-29", "2026-01-29"]


async def test_for_every_customer(world: World) -> None:
    world.at("2026-01-02 08:00")
    await world.save_policy(POLICY, assign_all=True)
    await world.issue(await world.customer("C1", profile="government"), "R1")
    await world.issue(await world.customer("C2", policy_key="intensive"), "R2")
    await world.issue(await world.customer("C3"), "R3", policy_key="business")
    await world.issue(await world.customer("C4", policy_key="nonsense"), "R4")
    rows = await world.rows("SELECT number, policy_key FROM follow_up ORDER BY number")
    assert [row.policy_key for row in rows] == ["gentle", "intensive", "business", "gentle"]


async def test_named_profiles_are_taken_from_everyones_policy(world: World) -> None:
    world.at("2026-01-02 08:00")
    await world.save_policy(POLICY, assign_all=True)
    answer = await world.client.put("/v1/policies/intensive/assignment", json={"profiles": ["government"]})
    assert answer.json()["assigned_to"] == ["government"]
    assert (await world.get("/v1/policies/gentle/versions/1"))["assigned_to"] == ["business", "individual"]
    for profile in ("business", "government", "individual"):
        await world.issue(await world.customer(f"C-{profile}", profile=profile), f"R-{profile}")
    rows = await world.rows("SELECT number, policy_key FROM follow_up ORDER BY number")
    assert [row.policy_key for row in rows] == ["gentle", "intensive", "gentle"]
    await world.save_policy(POLICY, assign_all=True)
    answer = await world.client.put("/v1/policies/gentle/assignment", json={"profiles": ["business"]})
    assert answer.json()["assigned_to"] == ["business", "individual"], "as before it was everyone's"


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
    world: World, change: dict[str, Any], pointer: str, code: str | None
) -> None:
    answer = await world.client.post("/v1/policies/gentle/versions", json=POLICY | change)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    errors = {one["pointer"]: one for one in answer.json()["errors"]}
    assert pointer in errors
    assert code in (None, errors[pointer]["code"])
    assert (await world.client.get("/v1/policies/gentle/versions")).status_code == 404


async def test_a_window_the_law_forbids_is_not_for_individuals(world: World) -> None:
    late = POLICY | {"window": {"from": "21:30", "to": "23:00"}}
    for params in ({"assign": "individual"}, {"assign_all": True}):
        answer = await world.client.post("/v1/policies/gentle/versions", json=late, params=params)
        assert answer.status_code == 422
        assert "law" in answer.json()["detail"]
    assert (await world.save_policy(late, assign="business"))["assigned_to"] == ["business"]
