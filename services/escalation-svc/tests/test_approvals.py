"""Approvals: asked with evidence, decided with today's facts, refused with the reason that changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

import httpx
import pytest
from remit_testing.service import client_for
from uuid6 import uuid7

from remit_events.invoices import DisputeOpened, DisputeResolved
from remit_events.schedule import TouchSuppressed

Day = Callable[[int], date]
BY = {"by": "Mara Lind", "reason": "called twice"}


async def asked(world: Any, day: Day, *, reminders: tuple[int, ...] = (1, 7, 14, 30)) -> tuple[Any, list[Any]]:
    """A case whose formal demand waits for approval; with what was sent."""
    customer = await world.customer()
    bill = await customer.invoice()
    sent = []
    for offset in reminders:
        world.go(day(offset))
        sent.append(await bill.remind())
        await world.rungs()
    await world.live_until(day(36))
    return bill, sent


async def test_a_demand_waits_for_approval_and_goes_when_it_is_given(world: Any, day: Day) -> None:
    _bill, _ = await asked(world, day)
    assert [e.rung for e in await world.triggered()] == ["account-manager"]
    approval = await world.approval()
    assert (approval["rung"], approval["may_approve"], approval["changed"]) == ("formal-demand", True, False)
    assert (approval["invoice_number"], approval["reminders_sent"], approval["days_overdue"]) == ("R-1", 4, 36)
    assert await world.planned() is None
    decided = await world.post(f"/v1/approvals/{approval['id']}/approve", BY)
    assert (decided["status"], decided["decided_by"], decided["reason"]) == ("approved", "Mara Lind", "called twice")
    demand = (await world.triggered())[1]
    assert (demand.action, demand.approved_by, demand.days_overdue) == ("formal_demand", "Mara Lind", 36)
    assert demand.evidence_sha256 == approval["evidence_sha256"]
    assert demand.demand_deadline == day(46)
    detail = await world.get(f"/v1/cases/{demand.case_id}")
    messages = detail["evidence"][demand.evidence_sha256]["messages"]
    assert [m["stage"] for m in messages] == ["overdue"] * 4


async def test_approving_twice_takes_the_rung_once(world: Any, day: Day) -> None:
    await asked(world, day)
    path = f"/v1/approvals/{(await world.approval())['id']}/approve"
    answers = await asyncio.gather(*(world.client.post(path, json=BY) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    refused = next(answer for answer in answers if answer.status_code == 409).json()
    assert refused["type"] == "urn:remit:problem:approval-decided"
    assert [e.rung for e in await world.triggered()] == ["account-manager", "formal-demand"]


async def test_a_late_bounce_takes_the_third_reminder_and_the_approval_with_it(world: Any, day: Day) -> None:
    _, sent = await asked(world, day, reminders=(1, 7, 14))
    approval = await world.approval()
    await sent[0].bounce()
    refused = await world.post(f"/v1/approvals/{approval['id']}/approve", BY, status=409)
    assert refused["type"] == "urn:remit:problem:approval-outdated"
    assert [(c["rule"], c["needed"], c["actual"]) for c in refused["changed"]] == [("reminders", 3, 2)]
    assert "2 reminders sent after the due date, 3 needed" in refused["detail"]
    now = await world.approval()
    assert (now["may_approve"], now["changed"], now["reminders_sent"]) == (False, True, 2)
    assert [e.rung for e in await world.triggered()] == ["account-manager"]


async def test_a_new_contact_makes_the_approval_wait(world: Any, day: Day) -> None:
    bill, _ = await asked(world, day, reminders=(1, 7, 14))
    approval = await world.approval()
    world.go(day(37))
    await bill.remind()
    refused = await world.post(f"/v1/approvals/{approval['id']}/approve", BY, status=409)
    assert [c["rule"] for c in refused["changed"]] == ["days-since-contact"]
    world.go(day(42))
    await world.post(f"/v1/approvals/{approval['id']}/approve", BY)


async def test_a_dispute_while_it_waits_refuses_and_its_end_allows(world: Any, day: Day) -> None:
    bill, _ = await asked(world, day)
    path = f"/v1/approvals/{(await world.approval())['id']}/approve"
    dispute = {"dispute_id": uuid7(), "amount_minor": 100_000}
    await bill.change(DisputeOpened, {**dispute, "reason": "broken"}, disputed_minor=100_000)
    assert [c["rule"] for c in (await world.post(path, BY, status=409))["changed"]] == ["disputed"]
    await bill.change(DisputeResolved, {**dispute, "outcome": "mended"}, disputed_minor=0)
    await world.post(path, BY)


async def test_payment_expires_what_waits(world: Any, day: Day) -> None:
    bill, _ = await asked(world, day)
    approval = await world.approval()
    await bill.paid()
    refused = await world.post(f"/v1/approvals/{approval['id']}/approve", BY, status=409)
    assert refused["status_now"] == "expired"
    assert [e.rung for e in await world.triggered()] == ["account-manager"]


async def test_approving_other_facts_than_those_looked_at_is_refused(world: Any, day: Day) -> None:
    bill, _ = await asked(world, day)
    path = f"/v1/approvals/{(await world.approval())['id']}"
    seen = (await world.get(f"{path}/preview"))["approval"]["evidence_sha256"]
    bill.after(balance_minor=90_000, status="partly_paid")
    await bill.change(DisputeResolved, {"dispute_id": uuid7(), "amount_minor": 0, "outcome": "x"})
    refused = await world.post(f"{path}/approve", {**BY, "evidence_sha256": seen}, status=409)
    assert refused["type"] == "urn:remit:problem:evidence-changed"
    await world.post(f"{path}/approve", {**BY, "evidence_sha256": refused["evidence_sha256"]})


async def test_a_refusal_stands_until_a_person_reopens_the_case(world: Any, day: Day) -> None:
    bill, _ = await asked(world, day)
    first = await world.approval()
    assert (await world.client.post(f"/v1/approvals/{first['id']}/reject", json={"by": "M"})).status_code == 422
    rejected = await world.post(f"/v1/approvals/{first['id']}/reject", {"by": "M", "reason": "they will pay"})
    assert rejected["status"] == "rejected"
    await world.live_until(day(90))
    assert (await world.get("/v1/approvals", status="pending"))["data"] == []
    case = await world.case(bill)
    assert [r["rule"] for r in case["reasons"]] == ["rejected"]
    assert case["reasons"][0]["text"].startswith("the rung was refused: they will pay; re-open the case")
    await world.post(f"/v1/cases/{case['case_id']}/reopen", {"by": "M", "reason": "they did not"})
    await world.post(f"/v1/cases/{case['case_id']}/reopen", {"by": "M", "reason": "again"}, status=409)
    late = await world.client.post(f"/v1/approvals/{first['id']}/approve", json=BY)
    assert "This approval was set aside when its case was re-opened by M; nothing" in late.json()["detail"]
    await world.live_until(day(93))
    assert (await world.approval())["id"] != first["id"]


def suppressed(world: Any, bill: Any, demand: UUID | None, rule: str = "no-channel") -> TouchSuppressed:
    """The end of a demand, or of a step that bears the rung's key."""
    return TouchSuppressed(
        **world.keys(bill.debtor),
        decision_id=uuid7(),
        invoice_id=bill.state.id,
        invoice_number="R-1",
        step="formal-demand",
        rule=rule,
        inputs={},
        policy_key="business",
        policy_version=1,
        outcome="suppressed",
        demand_id=demand,
    )


async def ordered(world: Any, day: Day) -> tuple[Any, Any]:
    """A case whose demand was ordered and has not gone, and the event."""
    customer = await world.customer()
    bill = await customer.invoice()
    await world.remind(bill, 1, 7, 14)
    await world.live_until(day(31), demands=False)
    return bill, (await world.triggered())[1]


async def test_a_demand_the_gate_refuses_becomes_a_task_and_is_ordered_again_when_reopened(
    auto_world: Any, day: Day
) -> None:
    bill, _ = await ordered(auto_world, day)
    reopen = f"/v1/cases/{(await auto_world.case(bill))['case_id']}/reopen"
    await auto_world.post(reopen, BY, 409)  # it may still go
    await auto_world.publish(suppressed(auto_world, bill, demand=None))
    assert (await auto_world.get("/v1/tasks", kind="demand-not-sent"))["data"] == []
    await auto_world.publish(suppressed(auto_world, bill, demand=uuid7()))
    (task,) = (await auto_world.get("/v1/tasks", kind="demand-not-sent"))["data"]
    assert (task["rung"], task["status"]) == ("formal-demand", "open")
    assert "no-channel" in task["note"]
    case = await auto_world.post(reopen, BY)
    assert [(rung["refused_rule"], bool(rung["withdrawn_at"])) for rung in case["rungs"]] == [
        (None, False),
        ("no-channel", True),
    ]
    assert (await auto_world.get(f"/v1/tasks/{task['id']}"))["status"] == "done"
    await auto_world.live_until(day(36), demands=False)
    assert [event.rung for event in await auto_world.triggered()] == [
        "account-manager",
        "formal-demand",
        "formal-demand",
    ]


@pytest.mark.parametrize("told", ["before", "after", "late"])
async def test_a_demand_that_was_over_is_ordered_again_when_the_payment_is_taken_back(
    auto_world: Any, day: Day, told: str
) -> None:
    """The scheduler tells of it by another topic than the payment comes by."""
    bill, _ = await ordered(auto_world, day)
    over = suppressed(auto_world, bill, demand=uuid7(), rule="paid")
    await auto_world.publish(*([over] if told == "before" else []))
    await bill.paid()
    await auto_world.publish(*([over] if told == "after" else []))
    await bill.reversed()
    await auto_world.publish(*([over] if told == "late" else []))
    assert (await auto_world.get("/v1/tasks", kind="demand-not-sent"))["data"] == []
    await auto_world.live_until(day(36), demands=False)
    assert [event.rung for event in await auto_world.triggered()] == [
        "account-manager",
        "formal-demand",
        "formal-demand",
    ]


async def test_a_demand_whose_deliveries_all_failed_is_a_task_until_one_goes_out(auto_world: Any, day: Day) -> None:
    _, event = await ordered(auto_world, day)
    sent = await auto_world.demand(event)
    await sent.bounce()
    (task,) = (await auto_world.get("/v1/tasks", kind="demand-not-sent", status="open"))["data"]
    assert "undeliverable" in task["note"]
    await auto_world.demand(event)
    assert (await auto_world.get("/v1/tasks", kind="demand-not-sent", status="open"))["data"] == []
    await auto_world.live_until(day(50))
    assert [event.rung for event in await auto_world.triggered()][2:] == ["suspension"]


async def test_the_preview_shows_what_would_be_sent(world: Any, notifier: Any, day: Day) -> None:
    await asked(world, day)
    path = f"/v1/approvals/{(await world.approval())['id']}/preview"
    preview = await world.get(path)
    message = preview["message"]
    assert preview["rendered"] == {"subject": "Formal demand", "text": "Pay."}
    assert (message["stage"], message["tone"], message["channels"]) == ("demand", "final", ["email", "letter"])
    assert [(i["number"], i["amount_minor"], i["days_overdue"]) for i in message["items"]] == [("R-1", 100_000, 36)]
    assert message["demand"]["deadline"] == day(46).isoformat()
    assert notifier.asked[0].headers["Remit-Seller"] == str(world.seller.id)
    assert len(preview["evidence"]["messages"]) == 4
    assert [e.rung for e in await world.triggered()] == ["account-manager"]


async def test_the_preview_stands_without_the_notifier(world: Any, notifier: Any, day: Day) -> None:
    await asked(world, day)
    path = f"/v1/approvals/{(await world.approval())['id']}/preview"

    def down(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    for answer in (down, lambda _: httpx.Response(500), lambda _: httpx.Response(200, text="<html>")):
        notifier.answer = answer
        preview = await world.get(path)
        assert preview["rendered"] is None
        assert preview["note"].startswith("notifier-svc did not render it")
        assert preview["message"]["items"]


async def test_another_seller_sees_and_decides_nothing(world: Any, day: Day) -> None:
    bill, _ = await asked(world, day)
    approval, case = await world.approval(), await world.case(bill)
    async with await client_for(world.service) as other:
        for path in ("/v1/approvals", "/v1/cases", "/v1/tasks"):
            assert (await other.get(path)).json()["data"] == []
        for path in (f"/v1/approvals/{approval['id']}", f"/v1/approvals/{approval['id']}/preview"):
            assert (await other.get(path)).status_code == 404
        assert (await other.get(f"/v1/cases/{case['case_id']}")).status_code == 404
        task = (await world.get("/v1/tasks"))["data"][0]
        assert (await other.get(f"/v1/tasks/{task['id']}")).status_code == 404
        for path in (
            f"/v1/approvals/{approval['id']}/approve",
            f"/v1/approvals/{approval['id']}/reject",
            f"/v1/cases/{case['case_id']}/reopen",
        ):
            assert (await other.post(path, json=BY)).status_code == 404
        assert (await other.post(f"/v1/tasks/{task['id']}/complete", json={"by": "M"})).status_code == 404
    assert (await world.approval())["status"] == "pending"
