"""Ladders, cases and tasks over HTTP: what is taken, what is refused and how it says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, time, timedelta
from typing import Any

import pytest
from remit_testing.service import client_for, make_service_database

from escalation_svc.ladder_file import shipped
from escalation_svc.ladder_format import EXAMPLE
from remit_service.migrations import check, migrations_of

Day = Callable[[int], date]
QUICK = {"rungs": [{"key": "call", "action": "task", "days_overdue": 3, "note": "Call at once.", "due_days": 1}]}


async def test_the_shipped_ladder_is_there_from_the_start(world: Any) -> None:
    listed = (await world.get("/v1/ladders"))["data"]
    assert [(ladder["key"], ladder["version"], ladder["assigned_to"]) for ladder in listed] == [("default", 1, [])]
    assert [rung["key"] for rung in listed[0]["rungs"]] == [r.key for r in shipped("default").rungs]
    assert (await world.get("/v1/ladders/default/versions/1")) == listed[0]
    assert (await world.client.get("/v1/ladders/other")).status_code == 404
    assert (await world.client.get("/v1/ladders/default/versions/2")).status_code == 404


async def test_versions_are_numbered_and_never_change(world: Any) -> None:
    first = await world.post("/v1/ladders/quick/versions", QUICK, 201)
    second = await world.post("/v1/ladders/quick/versions", EXAMPLE, 201)
    assert (first["version"], second["version"]) == (1, 2)
    assert (await world.get("/v1/ladders/quick/versions/1"))["rungs"] == first["rungs"]
    assert (await world.get("/v1/ladders/quick"))["version"] == 2
    # A seller's own `default` comes after the shipped one, which stays what it was.
    mine = await world.post("/v1/ladders/default/versions", QUICK, 201)
    assert mine["version"] == 2
    assert len((await world.get("/v1/ladders/default/versions/1"))["rungs"]) == 5


async def test_a_ladder_that_cannot_work_is_refused_with_pointers(world: Any) -> None:
    hasty = {"rungs": [{"key": "demand", "action": "formal_demand", "days_overdue": 5, "reminders": 2}]}
    refused = await world.post("/v1/ladders/hasty/versions", hasty, 422)
    assert [(e["pointer"], e["code"]) for e in refused["errors"]] == [
        ("/rungs/0/reminders", "too-few-reminders"),
        ("/rungs/0/deadline_days", "required"),
    ]
    unknown = {"rungs": [{**QUICK["rungs"][0], "colour": "red"}]}
    refused = await world.post("/v1/ladders/hasty/versions", unknown, 422)
    assert [e["pointer"] for e in refused["errors"]] == ["/rungs/0/colour"]
    assert (await world.client.get("/v1/ladders/hasty")).status_code == 404
    assert (await world.client.post("/v1/ladders/none/versions", json=QUICK)).status_code == 409
    assert (await world.client.post("/v1/ladders/Not Good/versions", json=QUICK)).status_code == 422


async def test_assigning_a_ladder_moves_cases_without_a_rung_and_leaves_the_others(world: Any, day: Day) -> None:
    old = await world.customer("Old GmbH")
    pinned = await old.invoice("pinned")
    for offset in (7, 8):
        world.go(day(offset))
        await pinned.remind()
    await world.live_until(day(15))
    world.go(day(15), time(12))
    new = await world.customer("New GmbH")
    waiting = await new.invoice("waiting")
    assert await world.planned() is None
    await world.post("/v1/ladders/quick/versions", QUICK, 201, assign_all=True)
    assert await world.planned() == world.clock.now()
    # Planning again takes nothing by itself: the clock is past today's opening.
    await world.live_until(day(16))
    assert [(e.rung, e.ladder_key) for e in await world.triggered()] == [
        ("account-manager", "default"),
        ("call", "quick"),
    ]
    assert [(await world.case(bill))["ladder_key"] for bill in (pinned, waiting)] == ["default", "quick"]
    task = (await world.get("/v1/tasks", invoice="waiting"))["data"][0]
    assert (task["note"], task["due_on"]) == ("Call at once.", day(17).isoformat())


async def test_who_follows_which_ladder(world: Any) -> None:
    """The customer's own, else their profile's, else everyone's, else the installation's."""
    await world.post("/v1/ladders/all/versions", QUICK, 201, assign_all=True)
    await world.post("/v1/ladders/offices/versions", QUICK, 201, assign=["government", "government"])
    customers = [
        await world.customer("A", profile="business"),
        await world.customer("B", profile="government"),
        await world.customer("C", profile="government", ladder_key="default"),
        await world.customer("D", ladder_key="none"),
        await world.customer("E", ladder_key="never-saved"),
    ]
    keys = []
    for customer in customers:
        bill = await customer.invoice(f"R-{customer.state.name}")
        keys.append((await world.case(bill))["ladder_key"])
    assert keys == ["all", "offices", "default", None, None]
    assert (await world.get("/v1/ladders/all"))["assigned_to"] == ["*"]


async def test_cases_are_listed_by_what_is_asked(world: Any, day: Day) -> None:
    one, two = await world.customer("One"), await world.customer("Two")
    bills = [await one.invoice("A-1"), await one.invoice("A-2"), await two.invoice("B-1")]
    await bills[1].paid()

    async def numbers(**params: Any) -> list[str]:
        return [case["invoice_number"] for case in (await world.get("/v1/cases", **params))["data"]]

    assert await numbers() == ["A-1", "A-2", "B-1"]
    assert await numbers(status="closed") == ["A-2"]
    assert await numbers(customer="One") == ["A-1", "A-2"]
    assert await numbers(customer=str(two.state.id)) == ["B-1"]
    assert await numbers(invoice="B-1", escalated=False) == ["B-1"]
    assert await numbers(escalated=True) == []
    page = await world.get("/v1/cases", limit=2)
    rest = await world.get("/v1/cases", limit=2, cursor=page["next_cursor"])
    assert [c["invoice_number"] for c in page["data"] + rest["data"]] == ["A-1", "A-2", "B-1"]
    assert rest["next_cursor"] is None


async def test_lists_give_what_changed_since(world: Any, day: Day) -> None:
    early, late = await world.customer("Early"), await world.customer("Late")
    await early.invoice("A-1")
    bill = await late.invoice("B-1")
    for offset in (7, 8):
        world.go(day(offset))
        await bill.remind()
    await world.live_until(day(15))
    taken_at = (await world.triggered())[-1]
    since = world.clock.now().isoformat()
    world.clock.set(world.clock.now() + timedelta(hours=1))

    async def numbers(path: str, moment: str) -> list[str]:
        return [one["invoice_number"] for one in (await world.get(path, updated_since=moment))["data"]]

    assert taken_at.rung == "account-manager"
    assert await numbers("/v1/cases", "2020-01-01T00:00:00Z") == ["A-1", "B-1"]
    assert await numbers("/v1/tasks", "2020-01-01T00:00:00Z") == ["B-1"]
    assert await numbers("/v1/cases", since) == await numbers("/v1/tasks", since) == []
    task = (await world.get("/v1/tasks"))["data"][0]
    await world.post(f"/v1/tasks/{task['id']}/complete", {"by": "Mara"})
    assert await numbers("/v1/tasks", since) == ["B-1"]
    await bill.paid()
    assert await numbers("/v1/cases", since) == ["B-1"]
    for path in ("/v1/cases", "/v1/tasks", "/v1/approvals"):
        answer = await world.client.get(path, params={"updated_since": "2026-01-31T09:00:00"})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "updated_since")


async def test_every_version_of_a_ladder_is_listed(world: Any) -> None:
    assert [one["version"] for one in (await world.get("/v1/ladders/default/versions"))["data"]] == [1]
    assert (await world.client.get("/v1/ladders/never-saved/versions")).status_code == 404
    for _ in range(3):
        await world.post("/v1/ladders/quick/versions", QUICK, 201, assign="business")
    page = await world.get("/v1/ladders/quick/versions", limit=2)
    rest = await world.get("/v1/ladders/quick/versions", limit=2, cursor=page["next_cursor"])
    listed = page["data"] + rest["data"]
    assert [(one["version"], one["assigned_to"]) for one in listed] == [(n, ["business"]) for n in (1, 2, 3)]
    assert listed[1] == await world.get("/v1/ladders/quick/versions/2")
    assert rest["next_cursor"] is None


async def test_a_case_says_what_it_waits_for(world: Any, day: Day) -> None:
    customer = await world.customer()
    bill = await customer.invoice()
    world.go(day(20))
    await bill.remind()
    case = await world.case(bill)
    assert (case["status"], case["next_rung"], case["days_overdue"]) == ("open", "account-manager", 20)
    assert [reason["text"] for reason in case["reasons"]] == ["1 reminder sent after the due date, 2 needed"]


async def test_tasks_are_completed_once(world: Any, day: Day) -> None:
    customer = await world.customer()
    bill = await customer.invoice()
    for offset in (7, 8):
        world.go(day(offset))
        await bill.remind()
    await world.live_until(day(15))
    task = (await world.get("/v1/tasks", status="open"))["data"][0]
    path = f"/v1/tasks/{task['id']}/complete"
    done = await world.post(path, {"by": "Mara", "result": "they pay on Friday"})
    assert (done["status"], done["done_by"], done["result"]) == ("done", "Mara", "they pay on Friday")
    assert (await world.post(path, {"by": "Ben"}, 409))["type"] == "urn:remit:problem:task-done"
    assert (await world.get(f"/v1/tasks/{task['id']}"))["done_by"] == "Mara"
    assert (await world.get("/v1/tasks", status="open"))["data"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/cases"),
        ("GET", "/v1/approvals"),
        ("GET", "/v1/tasks"),
        ("GET", "/v1/ladders"),
        ("POST", "/v1/ladders/x/versions"),
        ("POST", "/v1/approvals/01997f6a-1111-7000-8000-000000000001/approve"),
        ("POST", "/v1/cases/01997f6a-1111-7000-8000-000000000001/reopen"),
        ("POST", "/v1/tasks/01997f6a-1111-7000-8000-000000000001/complete"),
    ],
)
async def test_every_route_wants_a_key_with_its_scope(world: Any, method: str, path: str) -> None:
    body = QUICK if "ladders" in path else {"by": "M", "reason": "x"}
    given = {"json": body} if method == "POST" else {}
    assert (await world.client.request(method, path, headers={"Authorization": ""}, **given)).status_code == 401
    other = "escalations:read" if method == "POST" else "escalations:write"
    async with await client_for(world.service, scopes=(other,)) as client:
        refused = await client.request(method, path, **given)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:remit:problem:missing-scope")


@pytest.mark.parametrize(
    "params", [{"status": "lost"}, {"limit": 0}, {"limit": 201}, {"cursor": "nonsense"}, {"escalated": "perhaps"}]
)
async def test_parameters_that_cannot_be_are_refused(world: Any, params: dict[str, Any]) -> None:
    assert (await world.client.get("/v1/cases", params=params)).status_code == 422


@pytest.mark.parametrize(
    "body", [{}, {"by": ""}, {"by": "x" * 101}, {"by": "a\x00b"}, {"by": "M", "extra": 1}, {"by": "a\nb"}]
)
async def test_bodies_that_cannot_be_are_refused(world: Any, body: dict[str, Any]) -> None:
    path = "/v1/tasks/01997f6a-1111-7000-8000-000000000001/complete"
    assert (await world.client.post(path, json=body)).status_code == 422


async def test_the_document_names_examples_and_errors_for_every_route(world: Any) -> None:
    document = world.service.app.openapi()
    assert document["openapi"].startswith("3.1")
    routes = [(path, op) for path, operations in document["paths"].items() for op in operations.values()]
    assert len(routes) == 16
    for path, operation in routes:
        assert {"401", "403"} <= set(operation["responses"]), path
        good = operation["responses"].get("200") or operation["responses"]["201"]
        assert good["content"]["application/json"]["schema"], path
    for name in ("CaseOut", "ApprovalOut", "TaskOut", "LadderBody", "LadderOut", "Approve", "Reject", "Complete"):
        assert document["components"]["schemas"][name]["examples"], name


async def test_the_tables_in_code_are_those_of_the_migrations(make_database: Any) -> None:
    url = await make_service_database(make_database, "escalation_svc")
    assert await check(url, migrations_of("escalation_svc")) == []
