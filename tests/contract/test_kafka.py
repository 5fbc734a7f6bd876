"""What is particular to Kafka: a broker that refuses, stops or comes back, and a member that is too slow."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from runpy import run_path
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import CommitFailedError
from remit_testing.delivery import (
    DeliveryDatabase,
    SettableClock,
    event,
    first_numbers,
    read_all,
    record,
    writing,
)
from remit_testing.figures import Invariant
from remit_testing.kafka import SCRIPT, KafkaServer

from remit_events import kafka_bus, kafka_cluster, kafka_group
from remit_events.bus import BEHIND, BusError, Delivered, FencedError
from remit_events.consumer import Consumer
from remit_events.kafka_bus import KafkaBus
from remit_events.kafka_client import settings_of
from remit_events.relay import Relay

pytestmark = pytest.mark.kafka

TOPIC = "remit.notifications.v1"


@asynccontextmanager
async def bus_on(url: str) -> AsyncIterator[KafkaBus]:
    """A bus whose topics are its own."""
    bus = KafkaBus(url, prefix=f"t{uuid4().hex}.")
    await bus.ensure_topics()
    yield bus
    await bus.close()


@pytest.fixture
async def bus(kafka_url: str) -> AsyncIterator[KafkaBus]:
    async with bus_on(kafka_url) as bus:
        yield bus


@pytest.fixture
async def bus_of_its_own(own_kafka: KafkaServer) -> AsyncIterator[KafkaBus]:
    async with bus_on(own_kafka.url) as bus:
        yield bus


def test_the_id_of_a_new_cluster_is_never_read_as_an_option() -> None:
    script = run_path(str(SCRIPT))
    made = {script["cluster_id"]() for _ in range(2_000)}
    assert len(made) == 2_000
    assert not any(one.startswith("-") for one in made)


def test_settings_come_from_the_url() -> None:
    assert settings_of("kafka://a:9092,b:9093") == {
        "bootstrap_servers": ["a:9092", "b:9093"],
        "security_protocol": "PLAINTEXT",
    }
    secure = settings_of("kafka://user:p%40ss@a:9093")
    assert (secure["security_protocol"], secure["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (secure["sasl_plain_username"], secure["sasl_plain_password"]) == ("user", "p@ss")
    assert "ssl_context" in secure


async def configs_of(bus: KafkaBus) -> dict[str, str]:
    admin: AIOKafkaAdminClient = await bus.cluster._open_admin()
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, bus.prefix + TOPIC)])
    return {config[0]: config[1] for config in answer.resources[0][4]}


async def test_topics_have_their_retention_and_clock(bus: KafkaBus) -> None:
    configs = await configs_of(bus)
    assert configs["retention.ms"] == str(30 * 24 * 3600 * 1000)
    assert configs["message.timestamp.type"] == "LogAppendTime"


async def limit_records(bus: KafkaBus, size: int) -> None:
    """Makes the broker refuse records larger than `size` bytes, which the producer does not know."""
    admin: AIOKafkaAdminClient = await bus.cluster._open_admin()
    limit = ConfigResource(ConfigResourceType.TOPIC, bus.prefix + TOPIC, configs={"max.message.bytes": str(size)})
    await admin.alter_configs([limit])
    async with asyncio.timeout(20):
        while (await configs_of(bus))["max.message.bytes"] != str(size):  # noqa: ASYNC110  the broker tells nobody
            await asyncio.sleep(0.05)


async def test_the_broker_refuses_single_records_of_a_batch(
    bus: KafkaBus, invariant: Callable[[int, str], Invariant]
) -> None:
    await limit_records(bus, 20_000)
    stuck, other = uuid4(), uuid4()
    events = [event(stuck, 1), event(stuck, 2, padding=30_000), event(stuck, 3), event(other, 1), event(other, 2)]
    records = [record(e.customer_id, 0)._replace(value=e.model_dump_json().encode()) for e in events]
    answers = await bus.publish(records)
    assert answers == [None, "refused by the broker: MessageSizeTooLargeError", BEHIND, None, None]
    assert await bus.publish([record(other, 3)]) == [None]
    assert first_numbers(await read_all(bus, TOPIC)) == {str(stuck): [1], str(other): [1, 2, 3]}
    invariant(22, "what the broker refuses is told apart, others flow").held(rounds=1, refused=1, behind=1, lost=0)


async def test_a_member_that_is_too_slow_cannot_commit(bus: KafkaBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_group, "DRAIN_SECONDS", 0.3)
    await bus.publish([record(uuid4(), n) for n in range(40)])
    slow = bus.subscription("g", [TOPIC])
    assert len(await slow.poll()) == 40
    other_bus = KafkaBus(f"kafka://{bus.settings['bootstrap_servers'][0]}", prefix=bus.prefix)
    newcomer = other_bus.subscription("g", [TOPIC])
    await newcomer.poll(timeout=0.1)
    with pytest.raises(FencedError):
        await slow.commit()
    again: list[Delivered] = []
    deadline = time.monotonic() + 15
    while len(again) < 40 and time.monotonic() < deadline:
        for member in (slow, newcomer):
            again += await member.poll(timeout=0.1)
            await member.commit()
    assert len(again) == len({(d.partition, d.offset) for d in again}) == 40
    assert await bus.lag("g", [TOPIC]) == 0
    await other_bus.close()


async def test_nothing_passes_what_could_not_be_committed(bus: KafkaBus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit is refused while more records lie behind, and the group has not begun to join anew."""
    member, customer = bus.subscription("g", [TOPIC]), uuid4()
    await bus.publish([record(customer, n) for n in range(20)])
    first: list[Delivered] = []
    while not first:
        first = await member.poll(limit=5, timeout=1)

    async def refused(_offsets: object) -> None:
        raise CommitFailedError

    assert member._consumer is not None
    with monkeypatch.context() as patched:
        patched.setattr(member._consumer, "commit", refused)
        with pytest.raises(FencedError):
            await member.commit()
    await bus.publish([record(customer, n) for n in range(20, 25)])
    again: list[Delivered] = []
    deadline = time.monotonic() + 15
    while len(again) < 25 and time.monotonic() < deadline:
        again += await member.poll(limit=5, timeout=1)
        await member.commit()
    assert first_numbers(first) == {str(customer): list(range(len(first)))}
    assert first_numbers(again) == {str(customer): list(range(25))}
    assert await bus.lag("g", [TOPIC]) == 0


async def test_the_broker_is_away_and_comes_back(
    own_kafka: KafkaServer,
    bus_of_its_own: KafkaBus,
    delivery_database: DeliveryDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is lost or doubled, every call ends within its bound, and work resumes by itself."""
    for module, name in ((kafka_bus, "SEND_SECONDS"), (kafka_cluster, "ASK_SECONDS"), (kafka_group, "COMMIT_SECONDS")):
        monkeypatch.setattr(module, name, 3)
    bus, database, clock = bus_of_its_own, delivery_database, SettableClock()
    relay = Relay(database, bus, "/notifier-svc", clock)
    consumer = Consumer("c", database, bus, [TOPIC], writing("c"), clock)
    customers = [uuid4() for _ in range(10)]
    await database.emit(*(event(c, n) for n in range(10) for c in customers))
    assert await relay.run() == 100
    assert await run_until(consumer, 100) == 100
    await asyncio.to_thread(own_kafka.stop)
    try:
        await database.emit(*(event(c, n) for n in range(10, 20) for c in customers))
        started = time.monotonic()
        for _ in range(2):
            with pytest.raises(BusError):
                await relay.run()
        with pytest.raises(BusError):
            await bus.check()
        with suppress(BusError):
            assert await consumer.run() == 0
        assert time.monotonic() - started < 40
    finally:
        await asyncio.to_thread(own_kafka.start)
    started = time.monotonic()
    published = 0
    while published < 100 and time.monotonic() - started < 60:
        try:
            published += await relay.run()
        except BusError:
            await asyncio.sleep(0.2)
    assert published == 100
    await run_until(consumer, 100)
    assert time.monotonic() - started < 60
    assert await database.effects() == {str(c): list(range(20)) for c in customers}
    assert await bus.lag("c", [TOPIC]) == 0
    await relay.close()


async def test_closed_while_the_broker_is_away_nothing_of_it_goes_on(
    own_kafka: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it hang or raise: a process told to stop during an outage ends by itself."""
    monkeypatch.setattr(kafka_bus, "SEND_SECONDS", 3)
    before = asyncio.all_tasks()
    async with bus_on(own_kafka.url) as bus:
        member = bus.subscription("g", [TOPIC])
        customer = uuid4()
        assert await bus.publish([record(customer, 1)]) == [None]
        assert len(await member.poll(timeout=15)) == 1
        assert await bus.lag("g", [TOPIC]) == 1
        await asyncio.to_thread(own_kafka.stop)
        with pytest.raises(BusError, match="no answer in time"):
            await bus.publish([record(customer, 2)])
        assert len(asyncio.all_tasks() - before) > 5
    assert asyncio.all_tasks() == before


async def run_until(consumer: Consumer, wanted: int, seconds: float = 30) -> int:
    settled = 0
    deadline = time.monotonic() + seconds
    while settled < wanted and time.monotonic() < deadline:
        try:
            settled += await consumer.run()
        except BusError:
            await asyncio.sleep(0.2)
        await asyncio.sleep(0.05)
    return settled


async def test_no_broker_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = KafkaBus("kafka://127.0.0.1:1")
    for asking in (bus.check(), bus.publish([record(uuid4(), 1)]), bus.lag("g", [TOPIC]), bus.ensure_topics()):
        with pytest.raises(BusError, match="Kafka, connect"):
            await asking
    with pytest.raises(BusError):
        await bus.subscription("g", [TOPIC]).poll()
    await bus.close()


def script(*arguments: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_a_taken_port_is_said_in_one_line(kafka_url: str, tmp_path: Path) -> None:
    port = kafka_url.rpartition(":")[2]
    code, said = script("start", "--data", str(tmp_path), "--port", port)
    assert code == 2
    assert said.splitlines() == [f"port {port} is in use: stop what listens there or choose --port N"]
