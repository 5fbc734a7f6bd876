"""scheduler-svc and notifier-svc with so many open invoices, for the path `growth`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta

import asyncpg
from remit_testing.notifier import World, make_bus_database
from remit_testing.service import make_service_database, make_settings

from remit_bench.book import changed, customers, invoices, issued, publish
from remit_bench.seeding import multiply, seeding
from remit_bench.stage import Stage
from remit_events.bus import Record, open_bus
from remit_events.consumer import Consumer
from remit_events.state import CustomerState
from remit_service.clock import SimulatedClock
from remit_service.service import Service
from scheduler_svc.app import NAME, build
from scheduler_svc.settings import Settings
from scheduler_svc.sweep import Sweep

EACH = 4  # invoices per customer
REMINDED = 10  # one customer in so many has had a reminder
SCATTER = 2_654_435_761  # a prime: multiples of it, modulo the number of customers, are each of them once
PLANNED = datetime(2026, 3, 2, 8, tzinfo=UTC)
# The courtesy notes of what falls due seven days later: of who was reminded before, and of who is to be.
BEFORE, NOW = datetime(2026, 3, 9, 9, tzinfo=UTC), datetime(2026, 3, 16, 9, tzinfo=UTC)
LATER = date(2026, 5, 29)
NOTICE = timedelta(days=7)

_NUMBERED = f"""
SELECT uuidv7() AS id, n, '{NOW.isoformat()}'::timestamptz AS due, n * {SCATTER} % {{count}} AS rank
FROM generate_series(1::bigint, {{count}}) AS n
"""
_OTHERS = "SELECT id, uuidv7() AS invoice_id, of FROM customer, unnest({invoices}::uuid[]) AS of WHERE {others}"
_EMAIL = "'ap-' || m.id || '@muster.example'"
_HASH = f"encode(sha256(({_EMAIL})::bytea), 'hex')"
_SNAPSHOT = f"t.snapshot || jsonb_build_object('id', m.id, 'external_id', 'C-' || m.n, 'email', {_EMAIL})"
# So many a millisecond apart, then the others by days.
_NEXT_AT = """
m.due + CASE WHEN m.rank < {reminders} THEN m.rank * interval '1 ms' ELSE (1 + m.rank % 99) * interval '1 day' END
"""


class Written:
    """Kilobytes of WAL a reminder took, by round; the first of them warms up."""

    def __init__(self, plain: asyncpg.Connection, reminders: int) -> None:
        self._plain, self._reminders = plain, reminders
        self.kilobytes: list[float] = []

    @asynccontextmanager
    async def counted(self) -> AsyncIterator[None]:
        before = await self._plain.fetchval(_WAL)
        yield
        self.kilobytes.append(float(await self._plain.fetchval(_WAL) - before) / self._reminders / 1e3)


_WAL = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"


class Scheduling:
    """scheduler-svc; a round is its sweep of the next so many customers that fall due."""

    def __init__(self, service: Service, clock: SimulatedClock, plain: asyncpg.Connection, reminders: int) -> None:
        self._service, self._clock, self._plain, self._reminders = service, clock, plain, reminders
        self.written = Written(plain, reminders)
        self._sweep = next(task for task in service.tasks if isinstance(task, Sweep))
        self._rounds = 0

    @classmethod
    @asynccontextmanager
    async def filled(cls, stage: Stage, size: int, reminders: int) -> AsyncIterator[Scheduling]:
        """With `size` open invoices, so many reminders of which fall due in each round."""
        url = await make_service_database(stage.make_database, "scheduler_svc")
        bus_url = await make_bus_database(stage.make_database)
        bus, clock = open_bus(bus_url), SimulatedClock(PLANNED)
        service = await build(make_settings(Settings, url, bus_url), clock=clock, bus=bus)
        plain = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            one = cls(service, clock, plain, reminders)
            await one._fill(size // EACH, reminders * (stage.rounds + 1))
            yield one
        finally:
            await plain.close()
            await service.stop()
            await bus.close()
            await stage.drop_database(url)

    async def prepare(self) -> None:
        self._rounds += 1
        self._clock.set(NOW + timedelta(milliseconds=self._rounds * self._reminders - 1))
        self._sweep.changed()

    async def round(self) -> int:
        async with self.written.counted():
            reviewed = await self._sweep.run()
        assert reviewed == self._reminders, f"{reviewed} were due, not {self._reminders}"
        return reviewed

    async def _fill(self, count: int, reminders: int) -> None:
        past, template = await self._known()
        self._clock.set(BEFORE)
        assert await self._sweep.run() == 1
        tables = ("customer", "follow_up", "touch", "contact", "decision")
        plain = self._plain
        async with seeding(plain, *tables):
            made = {
                "id": "m.id",
                "external_id": "'C-' || m.n",
                "snapshot": _SNAPSHOT,
                "addresses": f"ARRAY['email:' || {_HASH}]",
                "next_at": _NEXT_AT.format(reminders=reminders),
            }
            await multiply(plain, "customer", f"id = '{template.id}'", _NUMBERED.format(count=count), made)
            others = f"id NOT IN ('{past.id}', '{template.id}')"
            found = await plain.fetch("SELECT invoice_id FROM follow_up WHERE customer_id = $1", template.id)
            invoices = f"'{{{','.join(str(row['invoice_id']) for row in found)}}}'"
            snapshot = "t.snapshot || jsonb_build_object('id', m.invoice_id, 'customer_id', m.id)"
            made = {"invoice_id": "m.invoice_id", "customer_id": "m.id", "snapshot": snapshot}
            of = f"customer_id = '{template.id}'"
            await multiply(plain, "follow_up", of, _OTHERS.format(invoices=invoices, others=others), made, "invoice_id")
            reminded = f"SELECT id FROM customer WHERE {others} AND substr(external_id, 3)::int % {REMINDED} = 0"
            of = f"customer_id = '{past.id}'"
            for table in ("touch", "contact", "decision"):
                made = {"id": "m.id", "customer_id": "m.id", "touch_id": "m.id", "invoice_id": "m.id"}
                await multiply(plain, table, of, reminded, made)
            await plain.execute("UPDATE touch SET status = 'sent', reached = true")
            await plain.execute("UPDATE customer SET next_at = NULL WHERE id IN ($1, $2)", past.id, template.id)

    async def _known(self) -> list[CustomerState]:
        """Two customers as the service itself has them once their invoices have come in."""
        known = customers(2)
        for one, notice in zip(known, (BEFORE, NOW), strict=True):
            due = [(notice + NOTICE).date(), *[LATER] * (EACH - 1)]
            found = [
                invoice.model_copy(update={"due_date": day})
                for invoice, day in zip(invoices([one], EACH), due, strict=True)
            ]
            await publish(self._service.bus, [*changed([one]), *issued(found)])
        consumer = next(task for task in self._service.tasks if isinstance(task, Consumer) and task.name == NAME)
        handled = 0
        while handled < 2 * (1 + EACH):
            handled += await consumer.run()
        return known


class Notifying:
    """notifier-svc; a round is as many PaymentDue, about customers from all over, until each is told of as sent."""

    def __init__(self, world: World, plain: asyncpg.Connection, reminders: int) -> None:
        self._world, self._plain, self._reminders = world, plain, reminders
        self.written = Written(plain, reminders)
        self._waiting: list[CustomerState] = []
        self._sent = 0

    @classmethod
    @asynccontextmanager
    async def filled(cls, stage: Stage, size: int, reminders: int) -> AsyncIterator[Notifying]:
        world = await World.open(stage.make_database, stage.folder / f"mailbox-{size}")
        url = world.service.db.url
        plain = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            one = cls(world, plain, reminders)
            await one._fill(size // EACH, reminders * (stage.rounds + 1))
            yield one
        finally:
            await plain.close()
            await world.close()
            await stage.drop_database(url)

    async def prepare(self) -> None:
        world, chosen = self._world, self._waiting[: self._reminders]
        del self._waiting[: self._reminders]
        records: list[Record] = [world.record(world.due(one, world.invoice(one))) for one in chosen]
        await world.bus.publish(records)

    async def round(self) -> int:
        async with self.written.counted():
            await self._world.settle()
        self._sent += self._reminders
        sent = await self._plain.fetchval("SELECT count(*) FROM outbox WHERE type LIKE '%reminder.sent%'")
        assert sent == self._sent + 1, f"{sent} were sent, not {self._sent + 1}"
        return self._reminders

    async def _fill(self, count: int, reminders: int) -> None:
        world, plain = self._world, self._plain
        template = await world.customer(language="de")
        await world.remind(template, world.invoice(template))
        await world.settle()
        async with seeding(plain, "customer", "touch", "delivery", "content"):
            made = {"id": "m.id", "snapshot": _SNAPSHOT, "email_sha256": _HASH, "phone_sha256": _HASH}
            made["letter_sha256"] = _HASH
            await multiply(plain, "customer", "true", _NUMBERED.format(count=count), made)
            others = f"id <> '{template.id}' AND substr(snapshot->>'external_id', 3)::int % {REMINDED} = 0"
            reminded = f"SELECT id FROM customer WHERE {others}"
            touch = {"id": "m.id", "customer_id": "m.id", "invoice_ids": "ARRAY[m.id]"}
            delivery = {"id": "m.id", "touch_id": "m.id", "customer_id": "m.id", "recipient_sha256": _HASH}
            await multiply(plain, "touch", "true", reminded, touch)
            await multiply(plain, "delivery", "true", reminded, delivery)
            await multiply(plain, "content", "true", reminded, {"touch_id": "m.id"})
        rows = await plain.fetch(_ANY, reminders, template.id)
        self._waiting = [CustomerState.model_validate_json(row["snapshot"]) for row in rows]


_ANY = "SELECT snapshot FROM customer WHERE id <> $2 ORDER BY random() LIMIT $1"
