"""The relay: nothing lost, nothing out of order, nothing that was not committed; kills included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY
from remit_testing.delivery import (
    NOW,
    DeliveryDatabase,
    FaultyBus,
    SettableClock,
    event,
    first_numbers,
    read_all,
)

from remit_events.bus import BEHIND, BusError, Record
from remit_events.outbox import emit
from remit_events.parked import drop_parked, list_parked, retry_parked
from remit_events.relay import Relay

TOPIC = "remit.notifications.v1"
UNPUBLISHED = "SELECT count(*) FROM outbox WHERE published_at IS NULL"


@pytest.fixture
async def relay(database: DeliveryDatabase, bus: FaultyBus) -> AsyncIterator[Relay]:
    relay = Relay(database, bus, "/notifier-svc", SettableClock())
    yield relay
    await relay.close()


async def test_it_publishes_whole_messages_and_marks_them(
    database: DeliveryDatabase, bus: FaultyBus, relay: Relay
) -> None:
    customer = uuid4()
    sent = event(customer, 5)
    await database.emit(sent)
    assert relay.wake.is_set()
    assert await relay.run() == 1
    assert await relay.run() == 0
    (delivered,) = await read_all(bus, TOPIC)
    message = delivered.message
    assert message is not None
    assert (message.source, message.type, message.time) == ("/notifier-svc", sent.type, NOW)
    assert (message.subject, message.partition_key) == (str(customer), str(customer))
    assert message.data == sent.model_dump_json().encode()
    ((event_id, published_at),) = await database.rows("SELECT event_id, published_at FROM outbox")
    assert (event_id, published_at) == (message.id, NOW)


async def test_more_than_a_batch_goes_in_one_run(database: DeliveryDatabase, bus: FaultyBus) -> None:
    relay = Relay(database, bus, "/notifier-svc", SettableClock(), batch=10)
    customers = [uuid4() for _ in range(6)]
    await database.emit(*(event(c, n) for n in range(40) for c in customers))
    assert await relay.run() == 240
    assert first_numbers(await read_all(bus, TOPIC)) == {str(c): list(range(40)) for c in customers}
    await relay.close()


async def test_large_events_go_in_smaller_batches(
    database: DeliveryDatabase, bus: FaultyBus, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remit_events.relay.BATCH_BYTES", 100_000)
    customer = uuid4()
    await database.emit(*(event(customer, n, padding=40_000) for n in range(8)))
    sizes, publish = list[int](), bus.publish

    async def counted(records: Sequence[Record]) -> list[str | None]:
        sizes.append(len(records))
        return await publish(records)

    monkeypatch.setattr(bus, "publish", counted)
    assert await relay.run() == 8
    assert sizes == [3, 3, 2]
    assert first_numbers(await read_all(bus, TOPIC)) == {str(customer): list(range(8))}


async def test_a_broken_transport_loses_nothing(database: DeliveryDatabase, bus: FaultyBus, relay: Relay) -> None:
    customer = uuid4()
    await database.emit(*(event(customer, n) for n in range(5)))
    bus.fail_before = 1
    with pytest.raises(BusError):
        await relay.run()
    assert await database.rows(UNPUBLISHED) == [(5,)]
    assert await relay.run() == 5
    assert first_numbers(await read_all(bus, TOPIC)) == {str(customer): [0, 1, 2, 3, 4]}


async def test_a_death_between_publish_and_mark_publishes_again_with_the_same_ids(
    database: DeliveryDatabase, bus: FaultyBus, relay: Relay
) -> None:
    customer = uuid4()
    await database.emit(*(event(customer, n) for n in range(5)))
    bus.fail_after = 1
    with pytest.raises(BusError):
        await relay.run()
    await database.emit(event(customer, 5))
    assert await relay.run() == 6
    records = await read_all(bus, TOPIC)
    assert len(records) == 11
    assert first_numbers(records) == {str(customer): [0, 1, 2, 3, 4, 5]}


async def test_a_late_commit_is_not_skipped(database: DeliveryDatabase, bus: FaultyBus, relay: Relay) -> None:
    early, late = uuid4(), uuid4()
    async with database.transaction() as session:
        await emit(session, [event(late, 1)], now=NOW)
        await database.emit(event(early, 2))
        assert await relay.run() == 1
    assert await relay.run() == 1
    ids = await database.rows("SELECT key FROM outbox ORDER BY id")
    assert ids == [(str(late),), (str(early),)]
    assert first_numbers(await read_all(bus, TOPIC)) == {str(early): [2], str(late): [1]}


async def test_rows_of_another_process_are_found_without_a_wake(
    database: DeliveryDatabase, bus: FaultyBus, relay: Relay
) -> None:
    relay.poll = 0.05
    assert await relay.run() == 0
    database.wakes.clear()
    await database.emit(event(uuid4(), 1))
    await asyncio.sleep(relay.poll)
    assert await relay.run() == 1


async def test_a_commit_wakes_the_relays_of_other_processes_whose_shards_it_may_be_in(
    delivery_url: str, database: DeliveryDatabase, bus: FaultyBus, relay: Relay
) -> None:
    elsewhere = DeliveryDatabase(delivery_url)
    other = Relay(elsewhere, bus, "/notifier-svc", SettableClock())
    try:
        assert (await relay.run(), await other.run()) == (0, 0)
        assert (len(relay._held), other._held) == (8, [])
        await asyncio.sleep(0.05)
        for one in (relay, other):
            one.wake.clear()
        await elsewhere.emit(event(uuid4(), 1))
        assert await other.run() == 0
        await asyncio.wait_for(relay.wake.wait(), 1)
        assert await relay.run() == 1
        relay.wake.clear()
        other.wake.clear()
        await database.emit(event(uuid4(), 2))
        assert await relay.run() == 1
        await asyncio.sleep(0.05)
        assert not other.wake.is_set(), "it has no shard the event could be in"
    finally:
        await other.close()
        await elsewhere.engine.dispose()


async def test_an_idle_run_asks_nothing(database: DeliveryDatabase, relay: Relay) -> None:
    await relay.run()
    relay._look_at += 60
    driver = relay._driver
    relay._driver = None
    assert await relay.run() == 0
    relay._driver = driver


async def test_a_second_relay_waits_and_takes_over(database: DeliveryDatabase, bus: FaultyBus, relay: Relay) -> None:
    standby = Relay(database, bus, "/notifier-svc", SettableClock())
    assert await relay.run() == 0
    await database.emit(event(uuid4(), 1))
    assert await standby.run() == 0
    assert await relay.run() == 1
    await relay.close()
    await database.emit(event(uuid4(), 2))
    standby._lock_at = 0.0
    assert await standby.run() == 1
    await standby.close()


async def test_refused_records_are_parked_with_their_key(
    database: DeliveryDatabase, bus: FaultyBus, relay: Relay
) -> None:
    stuck, other = uuid4(), uuid4()
    before = REGISTRY.get_sample_value("remit_outbox_refused_total", {"service": "notifier-svc"}) or 0
    await database.emit(event(stuck, 1), event(stuck, 2, padding=1_400_000), event(other, 1), event(stuck, 3))
    await relay.run()
    await database.emit(event(stuck, 4), event(other, 2))
    await relay.run()
    assert first_numbers(await read_all(bus, TOPIC, "a")) == {str(stuck): [1], str(other): [1, 2]}
    after = REGISTRY.get_sample_value("remit_outbox_refused_total", {"service": "notifier-svc"})
    assert after == before + 3
    async with database.transaction() as session:
        parked = await list_parked(session)
        assert [p.error for p in parked] == [parked[0].error, BEHIND, BEHIND]
        assert "larger" in parked[0].error
        assert {p.key for p in parked} == {str(stuck)}
        assert await drop_parked(session, [parked[0].event_id], by="ops", reason="cannot be sent", now=NOW) == 1
        assert await retry_parked(session, str(stuck)) == 2
    assert await relay.run() == 2
    assert first_numbers(await read_all(bus, TOPIC, "b")) == {str(stuck): [1, 3, 4], str(other): [1, 2]}
    assert await database.rows(UNPUBLISHED) == [(0,)]


async def test_a_parked_event_is_not_dropped_without_a_reason(database: DeliveryDatabase) -> None:
    async with database.transaction() as session:
        with pytest.raises(ValueError, match="reason"):
            await drop_parked(session, [uuid4()], by="ops", reason=" ", now=NOW)


async def test_the_age_of_what_waits_is_told(database: DeliveryDatabase, bus: FaultyBus) -> None:
    clock = SettableClock()
    relay = Relay(database, bus, "/aged-svc", clock)
    relay.poll = 0.05
    await database.emit(event(uuid4(), 1))
    clock.advance(seconds=90)
    bus.fail_before = 1
    with pytest.raises(BusError):
        await relay.run()
    assert REGISTRY.get_sample_value("remit_outbox_age_seconds", {"service": "aged-svc"}) == 90
    await relay.run()
    await asyncio.sleep(relay.poll)
    await relay.run()
    assert REGISTRY.get_sample_value("remit_outbox_age_seconds", {"service": "aged-svc"}) == 0
    await relay.close()


async def test_relays_share_the_shards_and_take_over(
    database: DeliveryDatabase, bus: FaultyBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remit_events.relay.LOCK_SECONDS", 0.0)
    relays = [Relay(database, bus, "/notifier-svc", SettableClock()) for _ in range(3)]

    async def shares(*running: Relay) -> list[int]:
        for _ in range(3):
            for relay in running:
                await database.emit(event(uuid4(), 0))
                await relay.run()
        return sorted(len(relay._held) for relay in running)

    assert await shares(relays[0]) == [8]
    assert await shares(*relays[:2]) == [4, 4]
    assert await shares(*relays) == [2, 3, 3]
    assert sorted(shard for relay in relays for shard in relay._held) == list(range(8))
    await relays[0].close()
    assert await shares(*relays[1:]) == [4, 4]
    await relays[1].close()
    assert await shares(relays[2]) == [8]
    await relays[2].close()
    assert await database.rows(UNPUBLISHED) == [(0,)]


async def test_a_notice_may_come_after_its_connection_was_given_up(
    database: DeliveryDatabase, bus: FaultyBus, relay: Relay
) -> None:
    """As it does when a session dies while the loop still has the notice to hand on."""
    await relay.run()
    driver = relay._driver
    await relay.close()
    assert driver.is_closed()
    relay.wake.clear()
    relay._on_notice(driver, 1, "remit_outbox", "")
    assert relay.wake.is_set()
