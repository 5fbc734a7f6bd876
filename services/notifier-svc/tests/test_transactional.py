"""The invoice itself on issue, and the thank-you on full payment: what is mailed, when, and what never is."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

from remit_testing.notifier import World
from remit_testing.smtp import MailServer
from uuid6 import uuid7

from remit_events.invoices import Allocation, InvoiceIssued, PaymentReceived, SellerChanged
from remit_events.notifications import ReminderCancelled, ReminderFailed, ReminderSent
from remit_events.state import CustomerState, InvoiceState

TODAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)
DAWN = datetime(2026, 3, 3, 5, tzinfo=UTC)  # 06:00 in Berlin
MORNING = datetime(2026, 3, 3, 7, tzinfo=UTC)


def issued(world: World, customer: CustomerState, **given: Any) -> InvoiceIssued:
    values = {"issue_date": TODAY, "issued_at": world.clock.now(), "due_date": date(2026, 4, 1)} | given
    invoice = world.invoice(customer, **values)
    return InvoiceIssued(seller_id=world.seller.id, customer_id=customer.id, invoice=invoice)


def payment(world: World, customer: CustomerState, *invoices: InvoiceState, **given: Any) -> PaymentReceived:
    values: dict[str, Any] = {
        "seller_id": world.seller.id,
        "customer_id": customer.id,
        "payment_id": uuid7(),
        "reference": "SEPA 17",
        "currency": "EUR",
        "amount_minor": 11900 * len(invoices),
        "received_on": TODAY,
        "allocations": tuple(Allocation(amount_minor=11900, invoice=invoice) for invoice in invoices),
    }
    return PaymentReceived(**(values | given))


def paid(world: World, customer: CustomerState) -> InvoiceState:
    return world.invoice(customer, status="paid", balance_minor=0)


async def stages(world: World) -> list[str]:
    await world.settle()
    return [event.stage.value for event in await world.told(ReminderSent)]


async def test_an_issued_invoice_is_mailed_once(world: World) -> None:
    customer = await world.customer()
    event = issued(world, customer)
    await world.publish(event, event)
    assert await stages(world) == ["invoice"]
    await world.publish(event)
    assert await stages(world) == ["invoice"]
    [sent] = await world.told(ReminderSent)
    assert (sent.channel, sent.tone, sent.items[0].amount_minor) == ("email", None, 11900)


async def test_an_invoice_dated_before_the_day_it_was_recorded_is_not_mailed(world: World) -> None:
    customer = await world.customer()
    await world.publish(issued(world, customer, issue_date=date(2026, 3, 1)))
    assert await stages(world) == []
    assert await world.rows("SELECT * FROM touch") == []


async def test_the_day_is_the_customers(world: World) -> None:
    world.clock.set(datetime(2026, 3, 2, 23, 30, tzinfo=UTC))  # 3 March in Berlin, 2 March in New York
    berlin = await world.customer()
    york = await world.customer(country="US", timezone="America/New_York")
    await world.publish(issued(world, berlin), issued(world, york))
    await world.settle()
    assert [event.customer_id for event in await world.told(ReminderSent)] == [york.id]


async def test_an_outage_does_not_make_an_invoice_old(world: World) -> None:
    customer = await world.customer()
    await world.publish(issued(world, customer))
    world.clock.set(world.clock.now() + timedelta(days=2))
    assert await stages(world) == ["invoice"]


async def test_to_an_individual_it_waits_for_the_morning(world: World) -> None:
    world.clock.set(DAWN)
    customer = await world.customer(profile="individual")
    await world.publish(issued(world, customer, issue_date=TUESDAY))
    assert await stages(world) == []
    assert await world.task("deliveries").next_at() == MORNING
    world.clock.set(MORNING)
    assert await stages(world) == ["invoice"]


async def test_without_e_mail_an_invoice_goes_by_letter(world: World) -> None:
    customer = await world.customer(email=None)
    await world.publish(issued(world, customer))
    await world.settle()
    assert [event.channel for event in await world.told(ReminderSent)] == ["letter"]
    assert await world.told(ReminderFailed) == []


async def test_an_invoice_that_reaches_nobody_is_told_and_noted(world: World) -> None:
    customer = await world.customer(email=None, address=None)
    event = issued(world, customer)
    await world.publish(event)
    await world.settle()
    [row] = await world.rows("SELECT notes FROM touch")
    assert row.notes == [{"channel": channel, "why": "no-address"} for channel in ("email", "letter")]
    [failed] = await world.told(ReminderFailed)
    assert (failed.stage, failed.reason_class, failed.touch_failed) == ("invoice", "no-channel", True)
    assert [item.invoice.id for item in failed.items] == [event.invoice.id]


async def test_an_invoice_whose_e_mail_certainly_failed_goes_by_letter(world: World) -> None:
    customer = await world.customer()
    await world.publish(issued(world, customer))
    await world.task("notifier-svc").run()
    await world.suppress("email")
    assert await stages(world) == ["invoice"]
    assert await world.statuses() == {"email": "failed", "letter": "sent"}
    assert [event.touch_failed for event in await world.told(ReminderFailed)] == [False]


async def test_an_invoice_the_mail_server_refuses_goes_by_letter_at_once(open_world: Any) -> None:
    async with MailServer() as server:
        server.script("RCPT", "550 5.1.1 no such user")
        given = {"smtp_host": "127.0.0.1", "smtp_port": server.port, "smtp_security": "none"}
        world = await open_world(delivery_mode="allowlist", allowlist="@muster.example", **given)
        customer = await world.customer()
        await world.publish(issued(world, customer))
        await world.settle()
        assert await world.statuses() == {"email": "failed", "letter": "sent"}
        assert [event.touch_failed for event in await world.told(ReminderFailed)] == [False]


async def test_an_invoice_whose_letter_fails_too_has_failed(world: World) -> None:
    customer = await world.customer()
    await world.publish(issued(world, customer))
    await world.task("notifier-svc").run()
    await world.suppress("email")
    await world.suppress("letter")
    assert await stages(world) == []
    assert [event.touch_failed for event in await world.told(ReminderFailed)] == [False, True]


async def test_an_invoice_paid_before_it_left_is_not_mailed(world: World) -> None:
    customer = await world.customer()
    event = issued(world, customer)
    world.change(event.invoice, status="paid", balance_minor=0)
    await world.publish(event)
    assert await stages(world) == []
    assert [event.rule for event in await world.told(ReminderCancelled)] == ["paid"]


async def test_a_full_payment_is_thanked_for_once(world: World) -> None:
    customer = await world.customer()
    event = payment(world, customer, paid(world, customer), paid(world, customer))
    await world.publish(event, event)
    assert await stages(world) == ["thanks"]
    [sent] = await world.told(ReminderSent)
    assert [item.amount_minor for item in sent.items] == [11900, 11900]
    assert [item.days_overdue for item in sent.items] == [10, 10]  # on the day of payment
    assert len(world.files()) == 1


async def test_a_thank_you_says_where_the_rest_of_the_payment_went(world: World) -> None:
    customer = await world.customer()
    settled, partly = paid(world, customer), world.invoice(customer, status="partly_paid", balance_minor=100)
    event = payment(world, customer, settled, partly, amount_minor=25_800, credit_minor=2_000)
    await world.publish(event)
    assert await stages(world) == ["thanks"]
    [sent] = await world.told(ReminderSent)
    assert [item.invoice.id for item in sent.items] == [settled.id]
    said = world.files("*.eml")[0].read_text()
    assert partly.number in said
    [row] = await world.rows("SELECT text FROM content")
    text = " ".join(row.text.split())
    assert (
        f"payment of €258.00, which we received on 2 March 2026. Of this, €119.00 went to invoice {settled.number}."
        in text
    )
    assert (
        f"€119.00 went to invoice {partly.number}, which is not paid in full yet. €20.00 is kept on your account"
        in text
    )


async def test_what_is_paid_in_part_or_long_ago_is_not_thanked_for(world: World) -> None:
    customer = await world.customer()
    partly = world.invoice(customer, status="partly_paid", balance_minor=100)
    await world.publish(
        payment(world, customer, partly),
        payment(world, customer, paid(world, customer), received_on=date(2026, 3, 1)),
    )
    assert await stages(world) == []


async def test_a_reversed_payment_is_not_thanked_for(world: World) -> None:
    customer = await world.customer(profile="individual")
    world.clock.set(DAWN)
    invoice = paid(world, customer)
    await world.publish(payment(world, customer, invoice, received_on=TUESDAY))
    await world.settle()
    world.change(invoice, status="issued", balance_minor=11900)
    world.clock.set(MORNING)
    assert await stages(world) == []
    assert [event.rule for event in await world.told(ReminderCancelled)] == ["not-paid"]


async def test_the_kill_switch_holds_an_invoice_until_it_is_on_again(world: World) -> None:
    customer = await world.customer()
    world.peers.automation[world.seller.id] = False
    await world.publish(issued(world, customer))
    assert await stages(world) == []
    assert await world.statuses() == {"email": "pending"}
    world.peers.automation[world.seller.id] = True
    world.clock.set(world.clock.now() + timedelta(minutes=5))
    await asyncio.sleep(0.26)  # the switch may be known for 250 ms
    assert await stages(world) == ["invoice"]


async def test_a_seller_may_send_neither_invoices_nor_thanks(world: World) -> None:
    customer = await world.customer()
    quiet = world.seller.model_copy(update={"send_invoices": False, "thank_you": False, "version": 2})
    await world.publish(SellerChanged(seller_id=quiet.id, seller=quiet))
    await world.settle()
    await world.publish(issued(world, customer), payment(world, customer, paid(world, customer)))
    assert await stages(world) == []
    assert await world.rows("SELECT * FROM touch") == []


async def test_a_setting_that_changed_before_it_left_counts(world: World) -> None:
    world.clock.set(DAWN)
    customer = await world.customer(profile="individual")
    await world.publish(issued(world, customer, issue_date=TUESDAY))
    await world.settle()
    quiet = world.seller.model_copy(update={"send_invoices": False, "version": 2})
    await world.publish(SellerChanged(seller_id=quiet.id, seller=quiet))
    world.clock.set(MORNING)
    assert await stages(world) == []
    assert [event.rule for event in await world.told(ReminderCancelled)] == ["seller-setting"]
