"""How soon: payment posted → its reminder no longer possible; InvoiceIssued → its plan exists, under load and at rest.

All services are processes. Payments are of invoices whose reminders notifier-svc holds at that moment, about to go out
as in `sending`, for all others are asked about later anyway; what counts is by how much the answer of the SMTP peer
came after the answer to the payment. For plans scheduler-svc reads InvoiceIssued from Kafka; of many invoices some are
looked for in its database all the time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
from remit_testing.api import Api
from remit_testing.installations import make_installation

from remit_bench.book import changed, customers, invoices, issued, records, send
from remit_bench.machine import Processes
from remit_bench.measure import Figure, Measured
from remit_bench.paths.sending import sending
from remit_bench.process import running
from remit_bench.reminders import due, make_invoices
from remit_bench.stage import Stage
from remit_events.bus import Bus, open_bus
from remit_events.state import CustomerState
from remit_local.installation import Installation

REMINDERS, PAUSE_SECONDS = 6_000, 0.01  # reminders going out; between two payments
PER_SECOND, SECONDS, EACH, TICK = 2_000, 60, 4, 0.1  # invoices, of so many per customer
ONE_IN, AT_REST, LOOK_SECONDS = 100, 200, 0.005  # looked for; and how often while they are not there yet
WARM_UP = 5
PAYMENT, LOAD, REST = 0.1, 1.0, 0.1  # goals for the 99th percentile, seconds
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}

_HELD = """
SELECT touch.id, invoice_ids[1] AS invoice, body -> 'items' -> 0 -> 'invoice' ->> 'number' AS number
FROM touch WHERE claim IS NOT NULL AND NOT touch.id = ANY($1::uuid[]) ORDER BY random() LIMIT 1
"""
_ENDED = "SELECT count(*) FROM delivery WHERE status NOT IN ('pending', 'sending')"
_SENT = "SELECT touch_id, sent_at FROM delivery WHERE status = 'sent' AND touch_id = ANY($1::uuid[])"
_PLANNED = "SELECT invoice_id FROM follow_up WHERE invoice_id = ANY($1::uuid[])"
_KNOWN = "SELECT count(*) FROM customer"


async def run(stage: Stage) -> Measured:
    found = Measured("latency")
    async with sending(stage) as (installation, _, bus, _):
        await _payments(stage, installation, bus, found)
    async with _planning(stage) as (scheduler, bus, pid):
        known = await _customers(scheduler, bus, stage.size(PER_SECOND * SECONDS) // EACH)
        processes = stage.processes(**{"scheduler-svc": lambda: pid})
        await _plans(stage, processes, scheduler, bus, known, found)
    return found


async def _payments(stage: Stage, installation: Installation, bus: Bus, found: Measured) -> None:
    reminded = await make_invoices(installation, bus, stage.size(REMINDERS))
    async with Api.of(installation) as api, _database(installation, "notifier-svc") as notifier:
        await send(bus, due(reminded))
        paid = await _paid(api, notifier, len(reminded))
        sent = {row["touch_id"]: row["sent_at"] for row in await notifier.fetch(_SENT, list(paid))}
    late = {touch: (sent[touch] - answered).total_seconds() for touch, (_, answered) in paid.items() if touch in sent}
    before = [touch for touch, (asked, _) in paid.items() if touch in sent and sent[touch] <= asked]
    seconds = [max(late.get(touch, 0.0), 0.0) for touch in paid if touch not in before]
    found.figures += _percentiles("payment posted → reminder no longer possible", seconds, PAYMENT)
    found.notes.append(
        f"of {len(paid):,} paid as their reminder was about to go, {len(before):,} had been sent before, "
        f"{len(paid) - len(sent):,} were not sent, {sum(one > 0 for one in late.values()):,} were sent after the answer"
    )


async def _paid(api: Api, notifier: asyncpg.Connection, reminders: int) -> dict[UUID, tuple[datetime, datetime]]:
    """By reminder when its payment was posted and answered: one after the other while reminders go out."""
    paid: dict[UUID, tuple[datetime, datetime]] = {}
    while await notifier.fetchval(_ENDED) < reminders:
        held = await notifier.fetchrow(_HELD, list(paid))
        if held is not None:
            asked = datetime.now(UTC)
            body = {"invoice_number": held["number"], "settle": True, "reference": f"bench {held['number']}"}
            await api.post("invoice-svc", "/v1/payments", body)
            paid[held["id"]] = asked, datetime.now(UTC)
        await asyncio.sleep(PAUSE_SECONDS)
    return paid


@asynccontextmanager
async def _planning(stage: Stage) -> AsyncIterator[tuple[asyncpg.Connection, Bus, int]]:
    """scheduler-svc alone: its database, the bus and the process."""
    installation = await make_installation(stage.make_database, stage.folder, events_url=stage.kafka.url)
    port, environment = installation.addresses.ports["scheduler-svc"], installation.environment("scheduler-svc")
    bus = open_bus(installation.events_url, prefix=installation.topic_prefix)
    with running(["-m", "scheduler_svc", "run"], port, environment | {"LOG_LEVEL": "warning"}) as pid:
        async with _database(installation, "scheduler-svc") as database:
            yield database, bus, pid
    await bus.close()


@asynccontextmanager
async def _database(installation: Installation, service: str) -> AsyncIterator[asyncpg.Connection]:
    # As services connect: a plan made while a table was empty would go through all of it, 200 times a second.
    plain = installation.databases[service].replace("+asyncpg", "")
    connection = await asyncpg.connect(plain, server_settings={"enable_seqscan": "off"})
    try:
        yield connection
    finally:
        await connection.close()


async def _customers(scheduler: asyncpg.Connection, bus: Bus, count: int) -> list[CustomerState]:
    """Those whose invoices come; back when scheduler-svc knows them."""
    made = customers(count)
    await send(bus, records(changed(made)))
    while True:
        if await scheduler.fetchval(_KNOWN) >= count:
            return made
        await asyncio.sleep(TICK)


async def _plans(
    stage: Stage,
    processes: Processes,
    scheduler: asyncpg.Connection,
    bus: Bus,
    known: Sequence[CustomerState],
    found: Measured,
) -> None:
    rest, load = _Looking(scheduler), _Looking(scheduler)
    for number in range(stage.size(AT_REST)):
        await _issue(bus, known, 1, number, rest)
        await rest.found()
        await asyncio.sleep(TICK)
    del rest.seconds[:WARM_UP]
    each, looking = round(PER_SECOND * TICK), asyncio.create_task(load.found())
    begun, before = time.perf_counter(), processes.cpu()
    for tick in range(stage.size(round(SECONDS / TICK))):
        await asyncio.sleep(max(begun + tick * TICK - time.perf_counter(), 0))
        await _issue(bus, known, each, stage.size(AT_REST) + tick * each, load)
        if looking.done():
            looking = asyncio.create_task(load.found())
    took = time.perf_counter() - begun
    await looking
    await load.found()
    cost = _cost(before, processes.cpu(), len(load.seconds) * ONE_IN)
    found.figures += _percentiles("InvoiceIssued → plan exists, at rest", rest.seconds, REST)
    found.figures += _percentiles(f"InvoiceIssued → plan exists, at {PER_SECOND:,} invoices/s", load.seconds, LOAD)
    found.notes.append(f"invoices came for {took:.0f} s; {len(load.seconds):,} of them were looked for")
    found.notes.append(f"µs of processor per invoice under that load: {cost}")


def _cost(before: Mapping[str, float], after: Mapping[str, float], invoices: int) -> str:
    """By group of processes; the client makes the invoices and looks for their plans."""
    each = {name: (after[name] - before.get(name, 0.0)) / invoices * 1e6 for name in after}
    return ", ".join(f"{name} {micros:,.0f}" for name, micros in sorted(each.items(), key=lambda one: -one[1]))


async def _issue(bus: Bus, known: Sequence[CustomerState], count: int, first: int, looking: _Looking) -> None:
    # Of today: old ones are all due at once, and what was measured would be the sweep.
    made = invoices(known, count, first=first, issued_on=datetime.now(UTC).date())
    ready, now = records(issued(made)), time.perf_counter()
    looking.since |= {one.id: now for one in made[::ONE_IN]}
    await send(bus, ready)


class _Looking:
    """How long it took until invoices had a plan, to some milliseconds. `since`: those that have none yet."""

    def __init__(self, scheduler: asyncpg.Connection) -> None:
        self.since: dict[UUID, float] = {}
        self.seconds: list[float] = []
        self._scheduler = scheduler

    async def found(self) -> None:
        """Back when all have one."""
        while self.since:
            rows = await self._scheduler.fetch(_PLANNED, list(self.since))
            self.seconds += [time.perf_counter() - self.since.pop(row["invoice_id"]) for row in rows]
            await asyncio.sleep(LOOK_SECONDS)


def _percentiles(what: str, seconds: Sequence[float], most: float) -> list[Figure]:
    """`most` is the goal of the 99th."""
    ranked = sorted(seconds) or [0.0]
    at = {name: ranked[min(int(share * len(ranked)), len(ranked) - 1)] for name, share in SHARES.items()}
    return [
        Figure(f"{what}, {name}", "ms", most=most * 1_000 if name == "p99" else None, rounds=[value * 1_000])
        for name, value in at.items()
    ]
