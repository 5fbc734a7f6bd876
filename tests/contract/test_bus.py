"""What a transport promises, asked of both: PostgreSQL's log and a real Apache Kafka."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest
from remit_testing.fixtures import MakeDatabase
from uuid6 import uuid7

from remit_events.bus import (
    BEHIND,
    MAX_RECORD_BYTES,
    Bus,
    BusError,
    Delivered,
    FencedError,
    Record,
    Subscription,
    open_bus,
)
from remit_events.catalogue import Topic
from remit_events.envelope import Message
from remit_events.parsing import parse

TOPIC = "remit.test.v1"
OTHER = "remit.other.v1"
PARTITIONS = 6
TOPICS = (Topic(TOPIC, "test", partitions=PARTITIONS), Topic(OTHER, "test", partitions=PARTITIONS))

OpenBus = Callable[[], Bus]


@pytest.fixture(scope="module", params=["postgresql", pytest.param("kafka", marks=pytest.mark.kafka)])
async def url(request: pytest.FixtureRequest, make_database: MakeDatabase) -> str:
    if request.param == "kafka":
        return str(request.getfixturevalue("kafka_url"))
    return await make_database()


@pytest.fixture
async def process(url: str) -> AsyncIterator[OpenBus]:
    """Opens a bus as another process would have it; all in a namespace of this test."""
    prefix = f"t{uuid7().hex}."
    opened: list[Bus] = []

    def open_one() -> Bus:
        opened.append(open_bus(url, prefix=prefix))
        return opened[-1]

    await open_one().ensure_topics(TOPICS)
    yield open_one
    for bus in opened:
        await bus.close()


@pytest.fixture
def bus(process: OpenBus) -> Bus:
    return process()


def record(key: str, number: int, *, topic: str = TOPIC, padding: int = 0) -> Record:
    """`number` travels as the sequence; the body is JSON of about `padding` bytes."""
    body = b'{"x":"' + b"x" * padding + b'"}'
    now = datetime(2025, 1, 1, tzinfo=UTC)
    return Record.of(topic, Message(uuid7(), "/test", "com.remit.test.v1", now, key, key, number, body))


def numbers(records: Sequence[Delivered]) -> dict[str, list[int]]:
    """Per key the sequence numbers in the order of delivery."""
    found: dict[str, list[int]] = defaultdict(list)
    for delivered in records:
        assert delivered.message is not None
        found[delivered.key].append(delivered.message.sequence)
    return dict(found)


async def drain(
    member: Subscription, wanted: int, *, commit: bool = True, limit: int = 500, seconds: float = 20.0
) -> list[Delivered]:
    """Polls until `wanted` records came; fails after `seconds`."""
    got: list[Delivered] = []
    deadline = time.monotonic() + seconds
    while len(got) < wanted and time.monotonic() < deadline:
        got += await member.poll(limit=limit, timeout=0.5)
        if commit:
            await member.commit()
    assert len(got) >= wanted
    return got


async def quiet(member: Subscription, seconds: float = 0.5) -> bool:
    return not await member.poll(timeout=seconds)


async def test_order_per_key_over_many_batches(bus: Bus) -> None:
    keys = [f"customer-{n}" for n in range(25)]
    for start in range(0, 40, 5):
        await bus.publish([record(key, n) for n in range(start, start + 5) for key in keys])
    got = await drain(bus.subscription("g", [TOPIC]), 1000, limit=70)
    assert numbers(got) == {key: list(range(40)) for key in keys}


async def test_a_key_stays_in_its_partition(bus: Bus) -> None:
    await bus.publish([record(f"k{n % 12}", n) for n in range(120)])
    places: dict[str, set[int]] = defaultdict(set)
    for delivered in await drain(bus.subscription("g", [TOPIC]), 120):
        places[delivered.key].add(delivered.partition)
    assert {len(partitions) for partitions in places.values()} == {1}
    assert len(set.union(*places.values())) > 1


async def test_headers_and_body_come_through_unchanged(bus: Bus) -> None:
    sent = record("ключ-é", 7)
    sent = Record(sent.topic, sent.key, sent.value, [*sent.headers, ("extra", bytes(range(256)))])
    await bus.publish([sent])
    (got,) = await drain(bus.subscription("g", [TOPIC]), 1)
    assert (got.topic, got.key, got.value, got.headers) == (TOPIC, sent.key, sent.value, sent.headers)


async def test_what_this_process_published_is_there_at_once(bus: Bus) -> None:
    member = bus.subscription("g", [TOPIC, OTHER])
    assert await member.poll() == []
    for n in range(20):
        await bus.publish([record(f"k{n}", n), record(f"k{n}", n, topic=OTHER)])
        found = 0
        while records := await member.poll():
            found += len(records)
            await member.commit()
        assert found == 2


async def test_offsets_belong_to_the_group(process: OpenBus) -> None:
    bus = process()
    await bus.publish([record(f"k{n}", n) for n in range(50)])
    first = bus.subscription("a", [TOPIC])
    await drain(first, 50)
    await first.close()
    await bus.publish([record("k0", 100)])
    again = process().subscription("a", [TOPIC])
    assert numbers(await drain(again, 1)) == {"k0": [100]}
    assert len(await drain(bus.subscription("b", [TOPIC]), 51)) == 51


async def test_redelivery_after_a_crash_before_the_commit(process: OpenBus) -> None:
    bus = process()
    await bus.publish([record(f"k{n % 5}", n) for n in range(30)])
    crashing = process().subscription("g", [TOPIC])
    lost = await drain(crashing, 30, commit=False)
    await crashing.close()
    got = await drain(bus.subscription("g", [TOPIC]), 30)
    assert numbers(got) == numbers(lost)


async def test_rewind_after_a_failed_handler(bus: Bus) -> None:
    member = bus.subscription("g", [TOPIC])
    await bus.publish([record("k", n) for n in range(5)])
    await drain(member, 5)
    await bus.publish([record("k", n) for n in range(5, 10)])
    assert numbers(await drain(member, 5, commit=False)) == {"k": [5, 6, 7, 8, 9]}
    await member.rewind()
    assert numbers(await drain(member, 5)) == {"k": [5, 6, 7, 8, 9]}
    assert await quiet(member)


async def test_rewind_takes_back_what_was_read_ahead(bus: Bus) -> None:
    member = bus.subscription("g", [TOPIC])
    await bus.publish([record(f"k{n % 5}", n) for n in range(30)])
    assert await drain(member, 1, commit=False, limit=5)
    await asyncio.sleep(0.2)  # the database takes its time, and the next records come in meanwhile
    await member.rewind()
    again = await drain(member, 30)
    assert numbers(again) == {f"k{k}": list(range(k, 30, 5)) for k in range(5)}
    assert await quiet(member)


async def test_seek_and_replay(bus: Bus) -> None:
    member = bus.subscription("g", [TOPIC])
    await bus.publish([record("k", n) for n in range(20)])
    first = await drain(member, 20)
    partition = first[0].partition
    await member.seek(TOPIC, partition, first[12].offset)
    assert numbers(await drain(member, 8)) == {"k": list(range(12, 20))}
    await member.seek(TOPIC, partition, 0)
    assert numbers(await drain(member, 20)) == {"k": list(range(20))}
    await member.seek(TOPIC, partition, 1_000_000)
    assert await quiet(member)
    await member.commit()
    assert await bus.lag("g", [TOPIC]) == 0


async def test_lag_of_a_lagging_and_of_a_late_group(bus: Bus) -> None:
    assert await bus.lag("slow", [TOPIC]) == 0
    await bus.publish([record(f"k{n}", n) for n in range(90)])
    slow = bus.subscription("slow", [TOPIC])
    read = len(await drain(slow, 30, limit=30))
    assert await bus.lag("slow", [TOPIC]) == 90 - read
    assert await bus.lag("late", [TOPIC, OTHER]) == 90
    await bus.publish([record("k", n) for n in range(10)])
    late = bus.subscription("late", [TOPIC])
    assert len(await drain(late, 100)) == 100
    assert await bus.lag("late", [TOPIC]) == 0
    assert await bus.lag("slow", [TOPIC]) == 100 - read
    assert await slow.backlog() == 100 - read
    assert sum((await bus.end_offsets([TOPIC])).values()) == 100
    await drain(slow, 100 - read)
    assert await slow.backlog() == 0


async def test_a_record_of_one_megabyte(bus: Bus) -> None:
    await bus.publish([record("k", 1), record("k", 2, padding=1_048_576), record("k", 3)])
    got = await drain(bus.subscription("g", [TOPIC]), 3)
    assert numbers(got) == {"k": [1, 2, 3]}
    assert len(got[1].value) > 1_048_576


async def test_what_is_too_large_is_refused_with_what_follows_of_its_key(bus: Bus) -> None:
    answers = await bus.publish(
        [record("k", 1), record("k", 2, padding=MAX_RECORD_BYTES), record("k", 3), record("other", 4)]
    )
    assert [answers[0], answers[2], answers[3]] == [None, BEHIND, None]
    assert "larger" in str(answers[1])
    got = await drain(bus.subscription("g", [TOPIC]), 2)
    assert numbers(got) == {"k": [1], "other": [4]}


async def test_poison_is_a_value_not_an_exception(bus: Bus) -> None:
    good = record("k", 1)
    headers = dict(good.headers)
    broken = [
        [],
        [(name, value) for name, value in good.headers if name != "ce_id"],
        list((headers | {"ce_id": b"\xff\xfe"}).items()),
        list((headers | {"ce_time": b"yesterday"}).items()),
        list((headers | {"ce_sequence": b"many"}).items()),
    ]
    known = list((headers | {"ce_type": b"com.remit.invoice.paid.v1"}).items())
    await bus.publish(
        [good]
        + [Record(TOPIC, "k", b"{}", each) for each in broken]
        + [Record(TOPIC, "k", body, known) for body in (b"", b"\x00\xff", b"{", b'{"seller_id": 1}')]
        + [record("k", 2)]
    )
    got = await drain(bus.subscription("g", [TOPIC]), 11)
    assert [delivered.message is None for delivered in got] == [False, *[True] * 5, *[False] * 5]
    assert all(delivered.failure for delivered in got[1:6])
    assert [isinstance(parse(delivered), str) for delivered in got] == [False, *[True] * 9, False]


async def test_another_process_is_woken(process: OpenBus) -> None:
    member = process().subscription("g", [TOPIC])
    assert await quiet(member, 3.0)
    await asyncio.sleep(0.1)
    member.wake.clear()
    started = time.monotonic()
    await process().publish([record("k", 1)])
    await asyncio.wait_for(member.wake.wait(), 5)
    assert len(await drain(member, 1)) == 1
    assert time.monotonic() - started < 5


async def test_topics_are_made_once_and_keep_their_partitions(bus: Bus) -> None:
    await bus.ensure_topics(TOPICS)
    with pytest.raises(BusError, match="partitions, not 7"):
        await bus.ensure_topics([Topic(TOPIC, "test", partitions=7)])
    assert len(await bus.end_offsets([TOPIC])) == PARTITIONS
    await bus.check()


async def test_a_topic_that_is_not_there(bus: Bus) -> None:
    with pytest.raises(BusError, match=r"remit\.absent\.v1"):
        await bus.publish([record("k", 1, topic="remit.absent.v1")])


async def test_members_share_the_partitions_and_take_over(process: OpenBus) -> None:
    await process().publish([record("k", 1)])
    members = [process().subscription("g", [TOPIC]) for _ in range(3)]
    owned = await settled(members)
    assert [len(each) for each in owned] == [2, 2, 2]
    await members[0].close()
    assert sorted(map(len, await settled(members[1:]))) == [3, 3]


async def test_a_batch_in_work_is_committed_before_its_partitions_go(process: OpenBus) -> None:
    bus = process()
    await bus.publish([record(f"k{n}", n) for n in range(60)])
    worker, newcomer = bus.subscription("g", [TOPIC]), process().subscription("g", [TOPIC])
    in_work = await worker.poll()
    assert len(in_work) == 60
    joining = asyncio.create_task(newcomer.poll(timeout=0.1))
    await asyncio.sleep(2.5)
    await worker.commit()
    assert await joining == []
    await settled([worker, newcomer])
    await bus.publish([record(f"k{n}", 100) for n in range(60)])
    later = [d for _ in range(20) for m in (worker, newcomer) for d in await m.poll(timeout=0.05)]
    assert [d.message.sequence for d in later if d.message] == [100] * 60


async def settled(members: Sequence[Subscription], seconds: float = 20.0) -> list[set[tuple[str, int]]]:
    """Polls all members until every partition is owned once and shared out evenly."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        await asyncio.gather(*(member.poll(timeout=0.2) for member in members))
        owned = [await member.assignment() for member in members]
        sizes = [len(each) for each in owned]
        if sum(sizes) == len(set.union(*owned)) == PARTITIONS and max(sizes) - min(sizes) <= 1:
            return owned
    raise AssertionError([await member.assignment() for member in members])


async def test_members_come_and_go_under_load(process: OpenBus) -> None:
    """1 → 3 → 1 members: every record is committed exactly once, and in order per key."""
    publisher = process()
    total, keys = 6_000, [f"k{n}" for n in range(30)]
    committed: list[UUID] = []
    order: dict[str, list[int]] = defaultdict(list)
    stops = [asyncio.Event() for _ in range(3)]
    share = [0, 0, 0]

    async def publish() -> None:
        for start in range(0, total, 30):
            await publisher.publish([record(key, start // 30) for key in keys])
            await asyncio.sleep(0.02)

    async def consume(stop: asyncio.Event) -> None:
        member = process().subscription("g", [TOPIC])
        number = stops.index(stop)
        while not stop.is_set():
            records = await member.poll(limit=50, timeout=0.1)
            await asyncio.sleep(0.005)
            try:
                await member.commit()
            except FencedError:
                continue
            share[number] += len(records)
            for delivered in records:
                assert delivered.message is not None
                committed.append(delivered.message.id)
                order[delivered.key].append(delivered.message.sequence)
        await member.close()

    async def come_and_go() -> None:
        await asyncio.sleep(0.5)
        others = [asyncio.create_task(consume(stop)) for stop in stops[1:]]
        await asyncio.sleep(2.5)
        for stop, task in zip(stops[1:], others, strict=True):
            stop.set()
            await task

    first = asyncio.create_task(consume(stops[0]))
    await asyncio.gather(publish(), come_and_go())
    for _ in range(300):
        if len(set(committed)) == total:
            break
        await asyncio.sleep(0.1)
    stops[0].set()
    await first
    assert len(committed) == len(set(committed)) == total
    assert dict(order) == {key: list(range(total // 30)) for key in keys}
    assert min(share) > 0
    assert await publisher.lag("g", [TOPIC]) == 0
