"""What escalation-svc tells: demands through the gate, the end of chasing, and of a case."""

from __future__ import annotations

from datetime import date

import pytest
from remit_testing.scheduler_world import World
from remit_testing.scheduling import make_customer, make_invoice
from uuid6 import uuid7

from remit_events.invoices import InvoiceIssued
from remit_events.schedule import PaymentDue, TouchSuppressed
from remit_events.state import Channel, CustomerState, InvoiceState
from scheduler_svc.policy_file import shipped


async def test_a_demand_passes_the_gate_and_reminders_end(world: World) -> None:
    _, invoice = await world.followed()
    await world.play("2026-02-20 18:00")
    await world.tell(world.rung(invoice))
    (due,) = await world.play("2026-03-10 00:00")
    assert (due.stage, due.step, due.tone, due.channels) == (
        "demand",
        "formal-demand",
        "final",
        (Channel.EMAIL, Channel.LETTER),
    )
    assert due.decided_at.date() == date(2026, 2, 23)  # Friday evening: Monday
    assert due.demand is not None
    assert due.demand.deadline == date(2026, 3, 23)  # three days later, as it went three days later
    log = await world.log(invoice)
    assert ("formal-demand", "deferred", "outside-window") in log
    assert ("formal-demand", "sent", "sent") in log
    assert log[-1] == ("final-notice", "suppressed", "escalated")


async def test_a_demand_for_what_is_paid_does_not_go(world: World) -> None:
    _, invoice = await world.followed()
    await world.play("2026-02-20 18:00")
    await world.tell(world.rung(invoice), world.paid(invoice, date(2026, 2, 20)))
    await world.sweep()
    (told,) = await world.published(TouchSuppressed)
    (demand,) = await world.rows("SELECT id FROM demand")
    assert (told.step, told.rule, told.demand_id) == ("formal-demand", "paid", demand.id)
    assert await world.play("2026-03-10 00:00") == []
    assert (await world.log(invoice))[-1] == ("formal-demand", "suppressed", "paid")


async def test_a_step_that_bears_the_name_of_a_rung_is_no_demand(world: World) -> None:
    body = shipped("business").as_body()
    body["steps"][-1]["key"] = "formal-demand"
    await world.save_policy(body, assign=["business"])
    _, invoice = await world.followed()
    await world.play("2026-02-20 18:00")
    await world.tell(world.rung(invoice))
    await world.play("2026-03-04 08:00")
    world.at("2026-03-04 10:00")
    await world.sweep()
    (told,) = await world.published(TouchSuppressed)
    assert (told.step, told.rule, told.demand_id) == ("formal-demand", "escalated", None)


async def test_too_few_reminders_at_the_last_moment_end_it(world: World) -> None:
    _, invoice = await world.followed()
    await world.play("2026-02-20 10:00")
    await world.tell(world.rung(invoice))
    due = await world.go("2026-02-20 10:00")
    await world.tell(world.cancelled(due, {invoice.id: "fewer-than-three-reminders"}, whole=True))
    await world.sweep()
    assert await world.published(PaymentDue) == []
    assert (await world.log(invoice))[-1] == ("formal-demand", "suppressed", "fewer-than-three-reminders")


async def test_withdrawn_reminders_go_on_and_a_second_demand_may_come(world: World) -> None:
    _, invoice = await world.followed()
    await world.play("2026-02-20 18:00")
    event = world.rung(invoice)
    await world.tell(event, world.resolved(event, "withdrawn"))
    (due,) = await world.play("2026-03-05 00:00")
    assert due.step == "final-notice"
    await world.tell(world.rung(invoice))
    (due,) = await world.play("2026-03-08 00:00")
    assert due.stage == "demand"
    finals = [row for row in await world.log(invoice) if row[0] == "formal-demand" and row[1] != "deferred"]
    assert finals == [("formal-demand", "suppressed", "escalated"), ("formal-demand", "sent", "sent")]


@pytest.mark.parametrize("stops", [False, True])
async def test_a_payment_taken_back_resumes_no_reminders_past_the_demand(world: World, stops: bool) -> None:
    _, invoice = await world.followed()
    await world.play("2026-02-20 18:00")
    event = world.rung(invoice, stops_chasing=stops)
    await world.tell(event)
    await world.play("2026-02-24 00:00")
    await world.tell(world.paid(invoice, date(2026, 2, 24)), world.resolved(event, "paid"))
    await world.sweep()
    await world.tell(world.reversed(invoice, date(2026, 2, 26)))
    assert await world.play("2026-03-10 00:00") == []
    assert (await world.log(invoice))[-1] == ("final-notice", "suppressed", "escalated")


async def test_later_rungs_stop_the_chasing(world: World) -> None:
    _, invoice = await world.followed()
    await world.play("2026-02-20 18:00")
    await world.tell(world.rung(invoice, action="agency", rung="collections-agency", stops_chasing=True))
    assert await world.play("2026-03-10 00:00") == []
    assert (await world.log(invoice))[-1] == ("final-notice", "suppressed", "escalated")


def unheard_of(world: World) -> tuple[CustomerState, InvoiceState]:
    """A customer and an invoice nobody has told this service of."""
    customer = make_customer(id=uuid7())
    invoice: InvoiceState = make_invoice(id=uuid7(), customer_id=customer.id)
    world.invoices[invoice.id] = invoice
    world.at("2026-02-20 10:00")
    return customer, invoice


async def test_a_rung_heard_of_before_its_customer_waits_for_them(world: World) -> None:
    """Topics have no order: a scheduler that reads from the start may meet escalations first."""
    customer, invoice = unheard_of(world)
    await world.tell(world.rung(invoice))
    assert await world.rows("SELECT 1 FROM dead_letter") == []
    assert await world.rows("SELECT 1 FROM follow_up") == []
    await world.customer_changes(customer)
    assert await world.rows("SELECT 1 FROM customer WHERE waiting IS NOT NULL") == []
    await world.tell(InvoiceIssued(seller_id=world.seller.id, customer_id=customer.id, invoice=invoice))
    (due,) = await world.play("2026-03-10 00:00")
    assert (due.stage, due.items[0].invoice.id) == ("demand", invoice.id)


async def test_what_ended_before_the_customer_came_has_ended(world: World) -> None:
    customer, invoice = unheard_of(world)
    event = world.rung(invoice)
    await world.tell(event, world.resolved(event, "withdrawn"))
    await world.customer_changes(customer)
    assert [row.escalated for row in await world.rows("SELECT escalated FROM follow_up")] == [None]
    assert [row.withdrawn for row in await world.rows("SELECT withdrawn FROM demand")] == [True]
