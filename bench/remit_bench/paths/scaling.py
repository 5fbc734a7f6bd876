"""What another process adds on this machine: one to four of scheduler-svc plan what is on Kafka."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, AsyncExitStack
from datetime import UTC, datetime, timedelta

from remit_testing.ports import free_port
from remit_testing.service import SERVICE_KEY, make_service_database

from remit_bench.book import changed, customers, invoices, issued, publish, records, send
from remit_bench.measure import Comparison, Timed, in_turns
from remit_bench.process import running
from remit_bench.stage import Stage
from remit_events.bus import Record
from remit_events.invoices import TOPIC
from remit_events.kafka_bus import KafkaBus
from scheduler_svc.app import NAME

EVENTS, EACH = 20_000, 4  # invoices in a round, and of one customer
PROCESSES = ("one process", "two processes", "three processes", "four processes")
LOOK_SECONDS = 0.1
DUE_IN = timedelta(days=60)


async def run(stage: Stage) -> Comparison:
    found = Comparison("Kafka → inbox and plan by four processes of scheduler-svc", "events")
    found.notes.append(f"clients, services, Kafka and PostgreSQL share {os.cpu_count()} cores")
    for count, name in enumerate(PROCESSES, 1):
        found.rounds["path" if count == len(PROCESSES) else name] = await _rounds(stage, count)
    return found


async def _rounds(stage: Stage, count: int) -> list[Timed]:
    """A round is from the first event published until the last is planned and its offset committed."""
    bus = KafkaBus(stage.kafka.url, prefix=f"scaling-{count}.")
    events, done = stage.size(EVENTS), 0
    later = datetime.now(UTC).date() + DUE_IN  # planned, and nothing more
    known, ready = customers(max(events // EACH, 1)), list[Record]()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(bus.close)
        await bus.ensure_topics()
        database = await make_service_database(stage.make_database, "scheduler_svc")
        pids = [stack.enter_context(_worker(bus, database, stage.kafka.url)) for _ in range(count)]
        await publish(bus, changed(known))
        await _read(bus)

        async def prepare() -> None:
            nonlocal done
            fresh = [one.model_copy(update={"due_date": later}) for one in invoices(known, events, first=done)]
            ready[:] = records(issued(fresh))
            done += events

        async def planned() -> int:
            await send(bus, ready)
            await _read(bus)
            return events

        groups: dict[str, Callable[[], int]] = {f"process {n}": (lambda one=one: one) for n, one in enumerate(pids, 1)}
        turns = await in_turns(stage.processes(**groups), stage.rounds, {"": planned}, {"": prepare})
    return turns[""]


def _worker(bus: KafkaBus, database: str, events_url: str) -> AbstractContextManager[int]:
    port = free_port()
    environment = {
        "DATABASE_URL": database,
        "EVENTS_URL": events_url,
        "EVENTS_TOPIC_PREFIX": bus.prefix,
        "SERVICE_KEY": SERVICE_KEY,
        "HOST": "127.0.0.1",
        "HEALTH_PORT": str(port),
        "LOG_LEVEL": "warning",
    }
    return running(["-m", "scheduler_svc", "worker"], port, environment)


async def _read(bus: KafkaBus) -> None:
    while await bus.lag(NAME, [TOPIC]):  # noqa: ASYNC110 - who reads is another process
        await asyncio.sleep(LOOK_SECONDS)
