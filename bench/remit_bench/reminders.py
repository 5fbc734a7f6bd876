"""Reminders as scheduler-svc would ask for, about invoices that invoice-svc has, and such a reminder as an e-mail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from uuid import uuid4

import asyncpg
from remit_testing.api import Api

from notifier_svc.planning import Links
from notifier_svc.providers import Outgoing
from notifier_svc.providers.email import compose
from notifier_svc.providers.signing import Dkim
from notifier_svc.rendering import MessageContext
from notifier_svc.rendering.renderer import render
from remit_bench.book import customers, invoices
from remit_bench.paths.importing import CALL, rows
from remit_events.bus import Bus, Record
from remit_events.envelope import Message
from remit_events.invoices import InvoiceIssued
from remit_events.relay import Relay
from remit_events.schedule import Item, PaymentDue, Window
from remit_events.state import Channel, InvoiceState, SellerState, Stage, Tone
from remit_local.installation import Installation
from remit_service.clock import WallClock
from remit_service.database import Database

GIVE_UP_SECONDS = 60.0
_ISSUED = "SELECT payload FROM outbox WHERE type = $1 ORDER BY id"
_KNOWN = "SELECT count(*) FROM customer"


async def relay(installation: Installation, bus: Bus) -> None:
    """Publishes what lies in invoice-svc's outbox, whose own tasks do not run."""
    database = Database(installation.databases["invoice-svc"])
    task = Relay(database, bus, "/invoice-svc", WallClock())
    try:
        while await task.run():
            pass
    finally:
        await task.close()
        await database.close()


async def make_invoices(installation: Installation, bus: Bus, count: int) -> list[InvoiceIssued]:
    """Overdue invoices of as many customers, posted to invoice-svc; back when notifier-svc knows the customers."""
    async with Api.of(installation, patient=True) as api:
        begun = await api.post("invoice-svc", "/v1/imports", {"file_name": "bench.csv", "rows_total": count})
        for first in range(0, count, CALL):
            body = {"rows": rows(first, min(CALL, count - first), customers=count)}
            await api.post("invoice-svc", f"/v1/imports/{begun['id']}/rows", body)
    await relay(installation, bus)
    issued = await _rows(installation, "invoice-svc", _ISSUED, InvoiceIssued.type)
    give_up = asyncio.get_running_loop().time() + GIVE_UP_SECONDS
    while (await _rows(installation, "notifier-svc", _KNOWN))[0][0] < count:
        assert asyncio.get_running_loop().time() < give_up, "notifier-svc never heard of the customers"
        await asyncio.sleep(0.1)
    return [InvoiceIssued.model_validate_json(payload) for (payload,) in issued]


async def _rows(installation: Installation, service: str, sql: str, *values: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(installation.databases[service].replace("+asyncpg", ""))
    try:
        found: list[asyncpg.Record] = await connection.fetch(sql, *values)
        return found
    finally:
        await connection.close()


def due(issued: Sequence[InvoiceIssued]) -> list[Record]:
    """A new reminder of each, as the relay would publish it."""
    now = datetime.now(UTC)
    return [_record(_reminder(one, now), now) for one in issued]


def letter(seller: SellerState, signer: Dkim | None) -> bytes:
    """Such a reminder as it leaves."""
    (customer,) = customers(1)
    (invoice,) = invoices([customer], 1)
    now = datetime.now(UTC)
    links = Links(mailto=f"mailto:{seller.reply_to}?subject=unsubscribe")
    context = MessageContext(
        seller=seller,
        customer=customer,
        stage=Stage.OVERDUE,
        step="second",
        tone=Tone.NEUTRAL,
        template="second",
        items=(_item(invoice, now),),
        local_date=now.date(),
        unsubscribe_mailto=links.mailto,
    )
    said = render(context, channels={Channel.EMAIL})
    outgoing = Outgoing(
        delivery_id=uuid4(),
        channel=Channel.EMAIL,
        recipient=customer.email or "",
        customer_name=customer.name,
        customer_key=customer.external_id,
        seller=seller,
        stage=Stage.OVERDUE,
        step="second",
        language=said.language,
        message_id=f"{uuid4().hex}@nordlicht.example",
        at=now,
        subject=said.subject,
        text=said.text,
        html=said.html,
        unsubscribe_mailto=links.mailto,
    )
    message = compose(outgoing)
    return signer.sign(message, outgoing.at) if signer else message


def _item(invoice: InvoiceState, now: datetime) -> Item:
    days = (now.date() - invoice.due_date).days if invoice.due_date else 0
    return Item(invoice=invoice, step="second", amount_minor=invoice.chased_minor, days_overdue=days)


def _reminder(issued: InvoiceIssued, now: datetime) -> PaymentDue:
    return PaymentDue(
        seller_id=issued.seller_id,
        customer_id=issued.customer_id,
        touch_id=uuid4(),
        stage=Stage.OVERDUE,
        step="second",
        tone=Tone.NEUTRAL,
        template="second",
        channels=(Channel.EMAIL,),
        items=(_item(issued.invoice, now),),
        decided_at=now,
        local_date=now.date(),
        valid_until=now + timedelta(hours=6),
        policy_key="business",
        policy_version=1,
        window=Window(days="business", opens=time(9), until=time(17)),
    )


def _record(event: PaymentDue, now: datetime) -> Record:
    message = Message(
        id=uuid4(),
        source="/scheduler-svc",
        type=event.type,
        time=now,
        subject=str(event.subject()),
        partition_key=str(event.partition_key()),
        sequence=event.sequence(),
        data=event.model_dump_json().encode(),
    )
    return Record.of(event.topic, message)
