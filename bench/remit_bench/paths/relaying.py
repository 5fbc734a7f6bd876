"""Outbox → Kafka: the relay beside a bare idempotent producer that sends the same bytes to the same topics."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from remit_testing.service import make_service_database

from remit_bench.measure import Comparison, compare
from remit_bench.stage import Stage
from remit_events.bus import Record
from remit_events.kafka_bus import KafkaBus
from remit_events.kafka_client import settings_of
from remit_events.outbox import to_record
from remit_events.relay import Relay
from remit_service.clock import WallClock
from remit_service.database import Database

EVENTS = 50_000
PAYLOAD = 900  # with its headers a record of about 1 kB
TOPIC, TYPE = "remit.invoices.v1", "com.remit.invoice.issued.v1"
BATCH_BYTES = 262_144

_FILL = """
INSERT INTO outbox (event_id, aggregate_id, aggregate_version, topic, type, key, payload, time)
SELECT gen_random_uuid(), k, 1, $3, $4, k::text, $5, $2
FROM (SELECT gen_random_uuid() AS k FROM generate_series(1, $1)) AS keys
"""


async def run(stage: Stage) -> Comparison:
    url = await make_service_database(stage.make_database, "invoice_svc")
    database, clock = Database(url), WallClock()
    bus = KafkaBus(stage.kafka.url, prefix="relay.")
    await bus.ensure_topics()
    relay = Relay(database, bus, "/invoice-svc", clock)
    plain = await asyncpg.connect(url.replace("+asyncpg", ""))
    producer = AIOKafkaProducer(
        **settings_of(stage.kafka.url), acks="all", enable_idempotence=True, max_batch_size=BATCH_BYTES
    )
    await producer.start()
    events = stage.size(EVENTS)
    places = _spread(_records(events), await bus.partitions(TOPIC))
    letters = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz ", k=PAYLOAD))  # noqa: S311

    async def fill() -> None:
        await plain.execute("TRUNCATE outbox")
        await plain.execute(_FILL, events, datetime.now(UTC), TOPIC, TYPE, f'{{"text":"{letters}"}}')
        await plain.execute("VACUUM ANALYZE outbox")
        database.wake()

    async def path() -> int:
        published = 0
        while published < events:
            published += await relay.run()
        return published

    async def raw() -> int:
        await asyncio.gather(*(_send(producer, place, batch) for place, batch in places.items()))
        return events

    found = Comparison("outbox → Kafka", "events", goals={"raw produce": 0.5}, quoted={"raw produce": 46_600})
    try:
        return await compare(found, stage.processes(), stage.rounds, path, {"raw produce": raw}, before={"path": fill})
    finally:
        await relay.close()
        await producer.stop()
        await bus.close()
        await plain.close()
        await database.close()


def _records(count: int) -> list[Record]:
    """As the relay makes them of rows."""
    chance = random.Random(1)  # noqa: S311
    letters = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz ", k=PAYLOAD))
    return [to_record(_row(uuid4(), f'{{"text":"{letters}"}}'), "/invoice-svc") for _ in range(count)]


def _spread(records: list[Record], partitions: int) -> dict[int, list[Record]]:
    places: dict[int, list[Record]] = {n: [] for n in range(partitions)}
    for n, record in enumerate(records):
        places[n % partitions].append(record)
    return places


async def _send(producer: AIOKafkaProducer, partition: int, records: list[Record]) -> None:
    """Whole batches, one after the other, as many records in each as it takes."""
    rest = iter(records)
    record = next(rest, None)
    while record is not None:
        builder = producer.create_batch()
        while record is not None and _append(builder, record):
            record = next(rest, None)
        builder.close()
        await (await producer.send_batch(builder, f"relay.{TOPIC}", partition=partition))


def _append(builder: BatchBuilder, record: Record) -> bool:
    fields = {"key": record.key.encode(), "value": record.value, "headers": record.headers}
    return builder.append(timestamp=None, **fields) is not None


def _row(key: UUID, payload: str) -> dict[str, object]:
    return {
        "event_id": uuid4(),
        "aggregate_id": key,
        "aggregate_version": 1,
        "topic": TOPIC,
        "type": TYPE,
        "key": str(key),
        "payload": payload,
        "time": datetime.now(UTC),
        "traceparent": None,
    }
