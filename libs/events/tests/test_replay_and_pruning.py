"""Publishing a range again, and forgetting what is old: the one never reaches into the other."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from remit_testing.delivery import NOW, DeliveryDatabase, FaultyBus, SettableClock, event, read_all, record, writing

from remit_events import pruning
from remit_events.bus import BusError
from remit_events.catalogue import TOPICS
from remit_events.consumer import Consumer
from remit_events.pruning import INBOX_RETENTION, OUTBOX_RETENTION, Pruning, prune_inbox, prune_outbox
from remit_events.relay import Relay
from remit_events.replay import ReplayError, republish

TOPIC = "remit.notifications.v1"
DAY = timedelta(days=1)


async def publish(database: DeliveryDatabase, bus: FaultyBus, days: int) -> None:
    """One event a day over the last `days`, each published as of its day."""
    clock = SettableClock(NOW - days * DAY)
    relay = Relay(database, bus, "/notifier-svc", clock)
    for n in range(days):
        await database.emit(event(uuid4(), n), now=clock.now())
        await relay.run()
        clock.advance(days=1)
    await relay.close()


async def test_a_range_is_published_again_with_its_ids(database: DeliveryDatabase, bus: FaultyBus) -> None:
    await publish(database, bus, 6)
    first = await read_all(bus, TOPIC, "first")
    consumer = Consumer("c", database, bus, [TOPIC], writing("c"), SettableClock())
    await consumer.run()
    span = {"since": NOW - 4 * DAY, "until": NOW - 2 * DAY, "now": NOW}
    assert await republish(database, bus, "/notifier-svc", **span, dry_run=True) == 2
    assert await republish(database, bus, "/notifier-svc", **span) == 2
    again = (await read_all(bus, TOPIC, "again"))[:]
    counted = {d.message.id: 0 for d in first if d.message}
    for delivered in again:
        assert delivered.message is not None
        counted[delivered.message.id] += 1
    assert sorted(counted.values()) == [1, 1, 1, 1, 2, 2]
    effects = await database.effects()
    assert await consumer.run() == 2
    assert await database.effects() == effects


async def test_a_range_by_topic_and_key(database: DeliveryDatabase, bus: FaultyBus) -> None:
    await publish(database, bus, 3)
    ((key,),) = await database.rows("SELECT key FROM outbox ORDER BY id LIMIT 1")
    span = {"since": NOW - 9 * DAY, "until": NOW, "now": NOW}
    assert await republish(database, bus, "/n", **span, key=key) == 1
    assert await republish(database, bus, "/n", **span, topics=["remit.schedule.v1"]) == 0


async def test_a_rate_is_kept(database: DeliveryDatabase, bus: FaultyBus) -> None:
    await publish(database, bus, 6)
    started = time.monotonic()
    assert await republish(database, bus, "/n", since=NOW - 9 * DAY, until=NOW, now=NOW, rate=20) == 6
    assert time.monotonic() - started >= 0.3


async def test_what_is_older_than_the_inbox_is_refused(database: DeliveryDatabase, bus: FaultyBus) -> None:
    with pytest.raises(ReplayError, match="inboxes"):
        await republish(database, bus, "/n", since=NOW - INBOX_RETENTION - DAY, until=NOW, now=NOW)
    with pytest.raises(ReplayError, match="rate"):
        await republish(database, bus, "/n", since=NOW, until=NOW, now=NOW, rate=-1)


async def test_unpublished_rows_are_left_to_the_relay(database: DeliveryDatabase, bus: FaultyBus) -> None:
    await database.emit(event(uuid4(), 1))
    assert await republish(database, bus, "/n", since=NOW - DAY, until=NOW + DAY, now=NOW) == 0


async def test_a_replay_stops_at_a_refused_record(database: DeliveryDatabase, bus: FaultyBus) -> None:
    await publish(database, bus, 1)
    await database.rows("UPDATE outbox SET payload = repeat('x', 1400000) RETURNING id")
    with pytest.raises(BusError, match="larger"):
        await republish(database, bus, "/n", since=NOW - 9 * DAY, until=NOW, now=NOW)


def test_the_inbox_remembers_longer_than_the_bus_keeps() -> None:
    assert all(topic.retention < INBOX_RETENTION for topic in TOPICS)


async def test_the_outbox_forgets_what_was_published_long_ago(database: DeliveryDatabase, bus: FaultyBus) -> None:
    await publish(database, bus, 5)
    await database.emit(event(uuid4(), 9), now=NOW - 50 * DAY)
    assert await prune_outbox(database, before=NOW - 3 * DAY) == 2
    rows = await database.rows("SELECT published_at FROM outbox ORDER BY published_at NULLS FIRST")
    assert [row[0] for row in rows] == [None, NOW - 3 * DAY, NOW - 2 * DAY, NOW - DAY]


async def test_a_page_that_may_not_go_does_not_hide_those_behind_it(
    database: DeliveryDatabase, bus: FaultyBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old events stay when they are parked, or were published only just now."""
    monkeypatch.setattr(pruning, "ROWS", 4)
    await publish(database, bus, 20)
    await database.rows("UPDATE outbox SET published_at = NULL, refused_at = time WHERE id <= 5 RETURNING 1")
    await database.rows("UPDATE outbox SET published_at = :at WHERE id BETWEEN 6 AND 10 RETURNING 1", at=NOW)
    assert await prune_outbox(database, before=NOW - 5 * DAY) == 5
    rows = await database.rows("SELECT id FROM outbox ORDER BY id")
    assert [row[0] for row in rows] == [*range(1, 11), *range(16, 21)]


async def test_the_inbox_forgets_by_the_databases_clock(database: DeliveryDatabase) -> None:
    for days in (1, 39, 41, 50):
        await database.rows(
            "INSERT INTO inbox VALUES ('c', gen_random_uuid(), clock_timestamp() - CAST(:age AS interval)) RETURNING 1",
            age=days * DAY,
        )
    assert await prune_inbox(database) == 2
    assert await database.rows("SELECT count(*) FROM inbox") == [(2,)]


async def test_after_a_time_lapse_the_inbox_remembers_what_the_bus_keeps(
    database: DeliveryDatabase, bus: FaultyBus
) -> None:
    """What was consumed at a time long past is as new on the bus as anything else; read again, it has no effect."""
    await bus.publish([record(uuid4(), 1)])
    clock = SettableClock(datetime.now(UTC) - 45 * DAY)
    await Consumer("c", database, bus, [TOPIC], writing("c"), clock).run()
    clock.advance(days=45)
    task = Pruning(database, bus, clock)
    task._due = 0.0
    await task.run()
    assert await database.rows("SELECT count(*) FROM inbox") == [(1,)]


async def test_the_task_prunes_once_an_hour_and_not_at_the_start(database: DeliveryDatabase, bus: FaultyBus) -> None:
    await publish(database, bus, 3)
    clock = SettableClock(NOW + OUTBOX_RETENTION - DAY - timedelta(minutes=1))
    task = Pruning(database, bus, clock)
    assert await task.run() == 0
    task._due = 0.0
    assert await task.run() == 2
    assert await task.run() == 0
    assert await task.next_at() is None
    assert await database.rows("SELECT count(*) FROM outbox") == [(1,)]
