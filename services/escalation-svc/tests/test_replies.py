"""What a customer wrote: a person reads it, and by completing the task lets things go on."""

from __future__ import annotations

from typing import Any

from uuid6 import uuid7

from remit_events.escalations import ReplyAnswered
from remit_events.notifications import ReplyReceived
from remit_events.state import Channel

BY = {"by": "Mara Lind", "result": "they pay on Friday"}


async def test_it_becomes_a_task_whose_end_is_told(world: Any) -> None:
    customer = await world.customer()
    reply = uuid7()
    await world.publish(ReplyReceived(**world.keys(customer), channel=Channel.SMS, intent="other", reply_id=reply))
    (task,) = (await world.get("/v1/tasks", kind="reply", status="open"))["data"]
    assert (task["reply_id"], task["case_id"], task["rung"]) == (str(reply), None, None)
    assert (task["customer_name"], task["due_on"]) == ("Alster Logistik GmbH", world.today.isoformat())
    assert "sms" in task["note"]
    await world.post(f"/v1/tasks/{task['id']}/complete", BY)
    await world.post(f"/v1/tasks/{task['id']}/complete", BY, 409)
    told = [event for event in await world.said() if isinstance(event, ReplyAnswered)]
    assert [(event.reply_id, event.customer_id, event.answered_by) for event in told] == [
        (reply, customer.state.id, "Mara Lind")
    ]


async def test_of_a_customer_not_known_yet_and_beside_other_tasks(auto_world: Any, day: Any) -> None:
    customer = await auto_world.customer()
    bill = await customer.invoice()
    await auto_world.remind(bill, 1, 7)
    auto_world.go(day(14))
    await auto_world.rungs()
    stranger = {"seller_id": auto_world.keys(customer)["seller_id"], "customer_id": uuid7()}
    await auto_world.publish(ReplyReceived(**stranger, channel=Channel.SMS, intent="other"))
    tasks = (await auto_world.get("/v1/tasks"))["data"]
    assert [(task["kind"], task["customer_name"]) for task in tasks] == [
        ("task", "Alster Logistik GmbH"),
        ("reply", None),
    ]
    assert tasks[1]["reply_id"] is not None
    await bill.paid()
    assert [task["status"] for task in (await auto_world.get("/v1/tasks"))["data"]] == ["done", "open"]
