"""Kafka → inbox and effect: scheduler-svc plans InvoiceIssued, beside a bare consumer that inserts the same records."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from remit_testing.service import make_service_database, make_settings

from remit_bench.book import changed, customers, invoices, issued, publish
from remit_bench.measure import Comparison, compare
from remit_bench.stage import Stage
from remit_events.consumer import Consumer
from remit_events.kafka_bus import KafkaBus
from remit_events.kafka_client import settings_of
from remit_service.clock import WallClock
from scheduler_svc.app import NAME, build
from scheduler_svc.settings import Settings

EVENTS = 20_000
EACH = 4  # invoices per customer
TOPIC = "remit.invoices.v1"
PREFIX = "planning."

_TABLE = "CREATE TABLE effect (event_id uuid PRIMARY KEY, key text NOT NULL, body jsonb NOT NULL)"
_INSERT = """
INSERT INTO effect SELECT * FROM unnest($1::uuid[], $2::text[], $3::jsonb[]) ON CONFLICT DO NOTHING
"""


async def run(stage: Stage) -> Comparison:
    bus = KafkaBus(stage.kafka.url, prefix=PREFIX)
    await bus.ensure_topics()
    events = stage.size(EVENTS)
    known = customers(events // EACH)
    await publish(bus, changed(known))
    settings = make_settings(
        Settings, await make_service_database(stage.make_database, "scheduler_svc"), stage.kafka.url
    )
    service = await build(settings, clock=WallClock(), bus=bus)
    consumer = next(task for task in service.tasks if isinstance(task, Consumer) and task.name == NAME)
    raw = await _Raw.open(stage)
    done = 0

    async def fill() -> None:
        nonlocal done
        await publish(bus, issued(invoices(known, events, first=done)))
        done += events

    async def path() -> int:
        return await _all(consumer, events)

    found = Comparison(
        "Kafka → inbox and plan (scheduler-svc, InvoiceIssued)", "events", goals={"raw consume and insert": 0.3}
    )
    try:
        await _all(consumer, len(known))
        await raw.take(len(known))
        beside = {"raw consume and insert": lambda: raw.take(events)}
        return await compare(found, stage.processes(), stage.rounds, path, beside, before={next(iter(beside)): fill})
    finally:
        await raw.close()
        await service.stop()
        await bus.close()


async def _all(consumer: Consumer, events: int) -> int:
    settled = 0
    while settled < events:
        settled += await consumer.run()
    return settled


class _Raw:
    """Reads batch by batch, inserts each in one statement, then commits its offsets."""

    def __init__(self, consumer: AIOKafkaConsumer, database: asyncpg.Connection) -> None:
        self._consumer, self._database = consumer, database

    @classmethod
    async def open(cls, stage: Stage) -> _Raw:
        database = await asyncpg.connect((await stage.make_database()).replace("+asyncpg", ""))
        await database.execute(_TABLE)
        consumer = AIOKafkaConsumer(
            f"{PREFIX}{TOPIC}",
            **settings_of(stage.kafka.url),
            group_id="raw",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        return cls(consumer, database)

    async def take(self, events: int) -> int:
        taken = 0
        while taken < events:
            found = await self._consumer.getmany(timeout_ms=1_000, max_records=500)
            records = [record for batch in found.values() for record in batch]
            if records:
                await self._database.execute(_INSERT, *_columns(records))
                await self._consumer.commit()
            taken += len(records)
        return taken

    async def close(self) -> None:
        await self._consumer.stop()
        await self._database.close()


def _columns(records: Sequence[ConsumerRecord]) -> tuple[list[str], list[str], list[str]]:
    ids = [dict(record.headers)["ce_id"].decode() for record in records]
    return ids, [record.key.decode() for record in records], [record.value.decode() for record in records]
