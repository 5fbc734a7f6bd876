"""An invoice that reached nobody is a person's task: no reminder of it would be the first they hear of it."""

from __future__ import annotations

from typing import Any

import pytest
from uuid6 import uuid7

from remit_events.notifications import ReminderCancelled, ReminderFailed
from remit_events.state import Channel, Stage


def failed(world: Any, bill: Any, **given: Any) -> ReminderFailed:
    values: dict[str, Any] = {
        **world.keys(bill.debtor),
        "delivery_id": uuid7(),
        "touch_id": uuid7(),
        "stage": Stage.INVOICE,
        "step": "invoice",
        "channel": Channel.EMAIL,
        "recipient_sha256": "",
        "items": (world.item(bill, "invoice"),),
        "reason_class": "no-channel",
        "reason": "email: no-address; letter: no-address",
        "touch_failed": True,
    }
    return ReminderFailed(**values | given)


def cancelled(world: Any, bill: Any, **given: Any) -> ReminderCancelled:
    values: dict[str, Any] = {
        **world.keys(bill.debtor),
        "touch_id": uuid7(),
        "stage": Stage.INVOICE,
        "step": "invoice",
        "rule": "expired",
        "dropped": (),
        "kept": (world.item(bill, "invoice"),),
        "whole": True,
    }
    return ReminderCancelled(**values | given)


@pytest.mark.parametrize(("made", "why"), [(failed, "email: no-address"), (cancelled, "could not be sent in time")])
async def test_it_becomes_a_task_about_the_invoice(world: Any, made: Any, why: str) -> None:
    customer = await world.customer()
    bill = await customer.invoice()
    await world.publish(made(world, bill))
    (task,) = (await world.get("/v1/tasks", kind="invoice-not-sent"))["data"]
    assert (task["invoice_number"], task["rung"], task["status"]) == (bill.state.number, None, "open")
    assert task["due_on"] == world.today.isoformat()
    assert why in task["note"]


@pytest.mark.parametrize(
    ("made", "given"),
    [
        (failed, {"touch_failed": False}),
        (failed, {"stage": Stage.THANKS}),
        (failed, {"stage": Stage.OVERDUE}),
        (cancelled, {"rule": "paid"}),
        (cancelled, {"stage": Stage.OVERDUE}),
    ],
)
async def test_what_may_still_arrive_or_is_decided_elsewhere_is_none(world: Any, made: Any, given: Any) -> None:
    customer = await world.customer()
    bill = await customer.invoice()
    await world.publish(made(world, bill, **given))
    assert (await world.get("/v1/tasks"))["data"] == []
