"""What a customer writes pauses their follow-up until a person has answered it."""

from __future__ import annotations

from uuid import UUID

from remit_testing.scheduler_world import World
from uuid6 import uuid7

from remit_events.escalations import ReplyAnswered
from remit_events.notifications import ReplyReceived
from remit_events.schedule import PaymentDue, TouchDeferred
from remit_events.state import Channel, CustomerState


def wrote(world: World, customer: CustomerState, reply: UUID | None) -> ReplyReceived:
    whose = {"seller_id": world.seller.id, "customer_id": customer.id}
    return ReplyReceived(**whose, channel=Channel.SMS, intent="other", reply_id=reply)


def answered(world: World, customer: CustomerState, reply: UUID) -> ReplyAnswered:
    return ReplyAnswered(seller_id=world.seller.id, customer_id=customer.id, reply_id=reply, answered_by="Kim")


async def test_follow_up_rests_until_a_person_has_answered(world: World) -> None:
    customer, invoice = await world.followed()
    await world.issue(await world.customer("C2"), "R2")
    reply = uuid7()
    world.at("2026-01-25 12:00")
    await world.tell(wrote(world, customer, reply))
    world.at("2026-01-26 09:00")
    await world.sweep()
    (due,) = await world.published(PaymentDue)
    assert due.items[0].invoice.number == "R2"
    assert await world.log(invoice) == [("courtesy", "deferred", "automation-off")]
    (row,) = await world.rows("SELECT inputs, until FROM decision")
    assert (row.inputs["replied_at"], row.until) == ("2026-01-25T11:00:00Z", None)
    await world.tell(answered(world, customer, reply))
    assert (await world.go("2026-01-26 10:00")).items[0].invoice.number == "R1"


async def test_a_demand_waits_for_the_answer_too(world: World) -> None:
    customer, invoice = await world.followed()
    await world.play("2026-02-20 18:00")
    await world.tell(world.rung(invoice), wrote(world, customer, uuid7()))
    assert await world.play("2026-03-01 00:00") == []
    assert (await world.log(invoice))[-1] == ("formal-demand", "deferred", "automation-off")


async def test_every_reply_wants_its_answer(world: World) -> None:
    customer, _ = await world.followed()
    first, second = uuid7(), uuid7()
    await world.tell(wrote(world, customer, first), wrote(world, customer, second))
    world.at("2026-01-26 09:00")
    await world.tell(answered(world, customer, first))
    await world.sweep()
    assert [one.rule for one in await world.published(TouchDeferred)] == ["automation-off"]
    await world.tell(answered(world, customer, second))
    assert (await world.go("2026-01-26 10:00")).step == "courtesy"


async def test_an_answer_heard_of_before_its_reply_counts(world: World) -> None:
    customer, _ = await world.followed()
    first, second = uuid7(), uuid7()
    await world.tell(answered(world, customer, first))
    await world.tell(wrote(world, customer, first))
    await world.tell(answered(world, customer, second), wrote(world, customer, second))
    assert (await world.go("2026-01-26 09:00")).step == "courtesy"


async def test_a_reply_without_an_id_goes_by_its_event(world: World) -> None:
    customer, _ = await world.followed()
    await world.tell(wrote(world, customer, None))
    (row,) = await world.rows("SELECT id FROM reply")
    await world.tell(answered(world, customer, row.id))
    assert (await world.go("2026-01-26 09:00")).step == "courtesy"
