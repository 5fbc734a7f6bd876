"""A payment against its reminder: whoever is first, no reminder rests on an answer older than the payment."""

from __future__ import annotations

import asyncio
import random
from uuid import UUID

from remit_testing.notifier import World

from remit_events.notifications import ReminderCancelled, ReminderSent
from remit_events.state import InvoiceState

ROUNDS, AT_ONCE = 200, 20


async def test_a_payment_while_its_reminder_is_on_its_way(world: World) -> None:
    chance = random.Random(7)  # noqa: S311
    order: list[tuple[str, UUID]] = []
    asking = asyncio.Event()

    async def answering(_: int) -> None:
        asked = world.peers.asked[-1]
        asking.set()
        await asyncio.sleep(0.01)
        order.extend(("answered", invoice_id) for invoice_id in asked)

    async def pay(invoice: InvoiceState) -> None:
        await asking.wait()
        await asyncio.sleep(chance.random() * 0.02)
        world.change(invoice, balance_minor=0, status="paid")
        order.append(("paid", invoice.id))

    customers = [await world.customer() for _ in range(AT_ONCE)]
    await world.settle()
    world.peers.before = answering
    for _ in range(ROUNDS // AT_ONCE):
        invoices = [world.invoice(customer) for customer in customers]
        await world.publish(
            *(world.due(customer, invoice) for customer, invoice in zip(customers, invoices, strict=True))
        )
        asking.clear()
        await asyncio.gather(world.settle(), *(pay(invoice) for invoice in invoices))
    sent = {event.items[0].invoice.id for event in await world.told(ReminderSent)}
    refused = {event.dropped[0].item.invoice.id for event in await world.told(ReminderCancelled)}
    place = {fact: at for at, fact in enumerate(order)}
    assert all(place["answered", invoice_id] < place["paid", invoice_id] for invoice_id in sent)
    assert len(sent | refused) == ROUNDS
    assert not sent & refused
    assert ROUNDS * 0.1 <= len(sent) <= ROUNDS * 0.9
