"""The timeline: every event once, in commit order, and a cursor that waits for a late commit."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from uuid6 import uuid7

from invoice_svc import timeline
from invoice_svc.handlers import handle
from remit_events.bus import Received
from remit_events.envelope import Event, Message
from remit_events.invoices import CustomerChanged
from remit_events.schedule import TouchDeferred, TouchSuppressed
from remit_events.state import CustomerState

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def received(event: Event, at: datetime = AT) -> Received:
    message = Message(
        id=UUID(int=uuid7().int),
        source="/invoice-svc",
        type=event.type,
        time=at,
        subject=str(event.subject()),
        partition_key=str(event.partition_key()),
        sequence=event.sequence(),
        data=event.model_dump_json().encode(),
    )
    return Received(message, event, event.topic, 0, 0)


def changed(seller_id: UUID) -> CustomerChanged:
    customer = CustomerState(id=uuid7(), external_id="C", name="C", country="DE", version=1)
    return CustomerChanged(seller_id=seller_id, customer_id=customer.id, customer=customer)


async def read(world: Any, after: int = 0, types: tuple[str, ...] = (), limit: int = 100) -> tuple[list[UUID], int]:
    async with world.service.db.reading() as session:
        entries, position = await timeline.read(session, world.client.seller.id, after, types, limit)
    return [entry.event_id for entry in entries], position


async def test_a_late_commit_is_never_skipped(world: Any) -> None:
    """A slow writer that began first, a fast one beside it, and a reader polling all the time."""
    slow, fast = received(changed(world.client.seller.id)), received(changed(world.client.seller.id))
    appended, release = asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        async with world.service.db.transaction() as session:
            await handle(session, [slow])
            appended.set()
            await release.wait()

    async def quickly() -> None:
        await appended.wait()
        async with world.service.db.transaction() as session:
            await handle(session, [fast])

    seen: list[UUID] = []
    position = 0

    async def look() -> None:
        nonlocal position
        ids, position = await read(world, position)
        seen.extend(ids)

    writers = [asyncio.create_task(slowly()), asyncio.create_task(quickly())]
    await appended.wait()
    for _ in range(10):
        await look()
        await asyncio.sleep(0.01)
    assert seen == []
    assert not writers[1].done()
    release.set()
    await asyncio.gather(*writers)
    await look()
    assert seen == [slow.message.id, fast.message.id]


async def test_many_writers_one_reader(world: Any) -> None:
    """Random transactions, some rolled back: a reader following the cursor sees exactly what was committed."""
    committed: list[UUID] = []
    done = asyncio.Event()

    async def write(number: int) -> None:
        batch = [received(changed(world.client.seller.id)) for _ in range(1 + number % 3)]
        try:
            async with world.service.db.transaction() as session:
                await asyncio.sleep(0.001 * (number % 7))
                await handle(session, batch)
                await asyncio.sleep(0.001 * (number % 5))
                if number % 4 == 0:
                    raise RuntimeError
        except RuntimeError:
            return
        committed.extend(one.message.id for one in batch)

    seen: list[UUID] = []

    async def follow() -> None:
        position = 0
        while True:
            last = done.is_set()
            ids, position = await read(world, position, limit=2)
            seen.extend(ids)
            if last and not ids:
                return
            await asyncio.sleep(0.001)

    reader = asyncio.create_task(follow())
    await asyncio.gather(*(write(number) for number in range(60)))
    done.set()
    await reader
    assert len(seen) == len(set(seen))
    assert set(seen) == set(committed)


async def test_types_move_the_cursor_past_what_they_leave_out(world: Any) -> None:
    batch = [received(changed(world.client.seller.id)) for _ in range(5)]
    async with world.service.db.transaction() as session:
        await handle(session, batch)
        await handle(session, batch)  # again: left alone
    ids, position = await read(world, types=("com.remit.invoice.paid.v1",))
    assert ids == []
    assert await read(world, after=position) == ([], position)
    assert len((await read(world))[0]) == 5


async def run_tasks(world: Any) -> None:
    while sum([await task.run() for task in world.service.tasks if task.name in ("relay", "invoice-svc.timeline")]):
        pass


async def test_from_the_outbox_over_the_bus_into_feed_and_timeline(own_world: Any) -> None:
    world = own_world
    invoice = await world.invoice(disputed=True)
    await world.pay(invoice, 10_000)
    await run_tasks(world)
    feed = await world.get("/v1/events")
    names = [one["type"].split(".")[2:4] for one in feed["data"]]
    assert names == [
        ["customer", "changed"],
        ["invoice", "issued"],
        ["dispute", "opened"],
        ["payment", "received"],
        ["invoice", "paid"],
    ]
    assert [int(one["cursor"]) for one in feed["data"]] == sorted(int(one["cursor"]) for one in feed["data"])
    assert feed["next_cursor"] == feed["data"][-1]["cursor"]
    assert feed["data"][1]["data"]["invoice"]["number"] == invoice["number"]
    assert (await world.get("/v1/events", after=feed["next_cursor"]))["data"] == []
    paid = await world.get("/v1/events", types="InvoicePaid,com.remit.payment.received.v1")
    assert len(paid["data"]) == 2
    page = await world.get(f"/v1/invoices/{invoice['id']}/timeline", limit=3)
    rest = await world.get(f"/v1/invoices/{invoice['id']}/timeline", cursor=page["next_cursor"])
    assert [one["type"] for one in page["data"] + rest["data"]] == [one["type"] for one in feed["data"][1:]]


async def test_events_of_other_services_about_an_invoice(world: Any) -> None:
    invoice = await world.invoice()
    base = {
        "seller_id": world.client.seller.id,
        "customer_id": invoice["customer_id"],
        "decision_id": uuid7(),
        "invoice_id": invoice["id"],
        "invoice_number": invoice["number"],
        "step": "second",
        "inputs": {"until": "2026-03-10"},
        "policy_key": "business",
        "policy_version": 1,
    }
    late = received(TouchSuppressed(**base, rule="paid", outcome="suppressed"), datetime(2026, 3, 9, tzinfo=UTC))
    early = received(TouchDeferred(**base, rule="held"), datetime(2026, 3, 8, tzinfo=UTC))
    async with world.service.db.transaction() as session:
        await handle(session, [late, early])
    entries = (await world.get(f"/v1/invoices/{invoice['id']}/timeline"))["data"]
    assert [one["data"]["rule"] for one in entries] == ["held", "paid"]


async def test_long_poll_answers_as_soon_as_something_is_there(world: Any) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert (await world.get("/v1/events", wait=0.3))["data"] == []
    assert 0.3 <= loop.time() - started < 2
    waiting = asyncio.create_task(world.get("/v1/events", wait=20))
    await asyncio.sleep(0.1)
    # It may be looking at one of these moments, on a busy machine at the first of them.
    seen = [(await asyncio.sleep(0.05), await idle_in_transaction(world))[1] for _ in range(5)]
    assert min(seen) == 0
    assert not waiting.done()
    async with world.service.db.transaction() as session:
        await handle(session, [received(changed(world.client.seller.id))])
    assert len((await asyncio.wait_for(waiting, 5))["data"]) == 1


async def idle_in_transaction(world: Any) -> int:
    """Connections of the service that hold a transaction open: a waiting poll holds none."""
    sql = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
             AND state = 'idle in transaction' AND pid <> pg_backend_pid()"""
    async with world.service.db.reading() as session:
        return int(await session.scalar(text(sql)) or 0)
