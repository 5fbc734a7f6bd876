"""Dead letters: what a person sees, asks for and gives up, and how their keys come free again in order."""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import uuid4

import pytest
from remit_testing.delivery import NOW, DeliveryDatabase, FaultyBus, SettableClock, number_of, record, writing

from remit_events import dead_letters
from remit_events.bus import Received, Record
from remit_events.consumer import Consumer
from remit_events.dead_letters import DeadLetterError
from remit_events.session import Session

TOPIC = "remit.notifications.v1"
KEY = uuid4()


class Desk:
    """A consumer whose handler refuses the numbers in `refused`, and its dead letters."""

    def __init__(self, database: DeliveryDatabase, bus: FaultyBus) -> None:
        self.database, self.bus, self.clock = database, bus, SettableClock()
        self.refused: set[int] = set()
        self.consumer = Consumer("c", database, bus, [TOPIC], self.handle, self.clock)

    async def handle(self, session: Session, batch: Sequence[Received]) -> None:
        await writing("c")(session, batch)
        if bad := {number_of(received) for received in batch} & self.refused:
            raise ValueError(f"refused {min(bad)}")

    async def statuses(self) -> list[str]:
        return [row.status for row in await self.database.rows("SELECT status FROM dead_letter ORDER BY id")]

    async def replay(self, *ids: int, rate: float | None = None, dry_run: bool = False) -> list[int]:
        async with self.database.transaction() as session:
            letters = await dead_letters.replay(
                session, ids, by="ada", now=self.clock.now(), reason="fixed", rate=rate, dry_run=dry_run
            )
        return [letter.id for letter in letters]


@pytest.fixture
def desk(delivery_database: DeliveryDatabase, delivery_bus: FaultyBus) -> Desk:
    return Desk(delivery_database, delivery_bus)


async def stuck(desk: Desk, *, bad: int = 1, last: int = 4) -> None:
    """Numbers 0..last of KEY, of which `bad` failed and the later ones wait."""
    desk.refused = {bad}
    await desk.bus.publish([record(KEY, n) for n in range(last + 1)])
    await desk.consumer.run()


async def test_a_letter_tells_everything(desk: Desk) -> None:
    await stuck(desk)
    async with desk.database.transaction() as session:
        letters = await dead_letters.list_letters(session, consumer="c")
        assert [letter.status for letter in letters] == ["dead", "parked", "parked", "parked"]
        assert [letter.id for letter in await dead_letters.list_letters(session, statuses=["dead"])] == [letters[0].id]
        assert await dead_letters.list_letters(session, consumer="other") == []
        assert await dead_letters.list_letters(session, key="other") == []
        assert len(await dead_letters.list_letters(session, key=str(KEY), after=letters[0].id, limit=2)) == 2
        shown = await dead_letters.show(session, letters[0].id)
        assert await dead_letters.show(session, 10**9) is None
    assert shown is not None
    assert (shown.consumer, shown.error, shown.attempts, shown.recorded_at) == ("c", "ValueError: refused 1", 1, NOW)
    assert shown.record.message is not None
    assert shown.event_id == shown.record.message.id
    assert shown.type == "com.remit.reply.received.v1"
    assert shown.record.key == str(KEY)


async def test_a_replay_frees_the_key_in_order(desk: Desk) -> None:
    await stuck(desk)
    desk.refused = set()
    assert await desk.replay(1) == [1]
    assert await desk.statuses() == ["retry", "parked", "parked", "parked"]
    await desk.bus.publish([record(KEY, 5)])
    assert await desk.consumer.run() == 5
    assert await desk.consumer.run() == 0
    assert await desk.database.effects() == {str(KEY): [0, 1, 2, 3, 4, 5]}
    assert await desk.statuses() == ["replayed"] * 4
    async with desk.database.transaction() as session:
        letter = await dead_letters.show(session, 1)
    assert letter is not None
    assert [(h["by"], h["action"], h["reason"]) for h in letter.history] == [
        ("ada", "replay", "fixed"),
        ("c", "handled", ""),
    ]
    assert letter.resolved_at == NOW


async def test_events_that_come_during_a_replay_stay_behind(desk: Desk) -> None:
    await stuck(desk)
    await desk.bus.publish([record(KEY, 5)])
    await desk.consumer.run()
    assert await desk.statuses() == ["dead", *["parked"] * 4]
    assert await desk.database.effects() == {str(KEY): [0]}


async def test_a_replay_that_fails_again_puts_it_back(desk: Desk) -> None:
    await stuck(desk)
    await desk.replay(1)
    assert await desk.consumer.run() == 1
    assert await desk.statuses() == ["dead", "parked", "parked", "parked"]
    rows = await desk.database.rows("SELECT attempts, jsonb_array_length(history) FROM dead_letter ORDER BY id LIMIT 1")
    assert rows == [(2, 2)]
    assert await desk.database.effects() == {str(KEY): [0]}


async def test_a_later_one_that_fails_stops_the_rest_there(desk: Desk) -> None:
    await stuck(desk)
    desk.refused = {3}
    await desk.replay(1)
    await desk.consumer.run()
    assert await desk.statuses() == ["replayed", "replayed", "dead", "parked"]
    assert await desk.database.effects() == {str(KEY): [0, 1, 2]}


async def test_replayed_twice_has_no_extra_effect(desk: Desk) -> None:
    await stuck(desk)
    desk.refused = set()
    await desk.replay(1)
    await desk.consumer.run()
    before = await desk.database.effects()
    await desk.replay(1, 2)
    assert (await desk.statuses())[:2] == ["retry", "retry"]
    desk.consumer._letters_due = 0.0
    assert await desk.consumer.run() == 2
    assert await desk.statuses() == ["replayed"] * 4
    assert await desk.database.effects() == before


async def test_the_same_event_published_again_changes_nothing_while_it_waits(desk: Desk) -> None:
    sent = [record(KEY, n) for n in range(3)]
    desk.refused = {1}
    await desk.bus.publish(sent)
    await desk.consumer.run()
    await desk.bus.publish(sent)
    await desk.consumer.run()
    desk.refused = set()
    await desk.replay(1)
    await desk.consumer.run()
    assert await desk.database.effects() == {str(KEY): [0, 1, 2]}
    assert set(await desk.statuses()) == {"replayed"}


async def test_a_dry_run_changes_nothing(desk: Desk) -> None:
    await stuck(desk)
    assert await desk.replay(1, dry_run=True) == [1]
    assert await desk.statuses() == ["dead", "parked", "parked", "parked"]


async def test_a_rate_spreads_them_over_the_clock(desk: Desk) -> None:
    desk.refused = {1, 2, 3}
    await desk.bus.publish([record(uuid4(), n) for n in (1, 2, 3)])
    await desk.consumer.run()
    desk.refused = set()
    await desk.replay(1, 2, 3, rate=0.5)
    assert await desk.consumer.run() == 1
    desk.clock.advance(seconds=2)
    assert await desk.consumer.run() == 1
    desk.clock.advance(seconds=2)
    assert await desk.consumer.run() == 1
    assert set(await desk.statuses()) == {"replayed"}


async def test_discarding_needs_a_reason_and_lets_the_rest_go_on(desk: Desk) -> None:
    await stuck(desk)
    async with desk.database.transaction() as session:
        with pytest.raises(DeadLetterError, match="reason"):
            await dead_letters.discard(session, [1], reason="  ", by="ada", now=NOW)
        await dead_letters.discard(session, [1], reason="test data", by="ada", now=NOW)
    assert await desk.consumer.run() == 3
    assert await desk.statuses() == ["discarded", "replayed", "replayed", "replayed"]
    assert await desk.database.effects() == {str(KEY): [0, 2, 3, 4]}
    async with desk.database.transaction() as session:
        letter = await dead_letters.show(session, 1)
        assert letter is not None
        assert [(h["by"], h["action"], h["reason"]) for h in letter.history] == [("ada", "discard", "test data")]
        with pytest.raises(DeadLetterError, match="discarded already"):
            await dead_letters.replay(session, [1], by="ada", now=NOW)
        with pytest.raises(DeadLetterError, match="replayed already"):
            await dead_letters.discard(session, [2], reason="late", by="ada", now=NOW)


async def test_what_cannot_be_asked(desk: Desk) -> None:
    await stuck(desk)
    with pytest.raises(DeadLetterError, match="no dead letter 77"):
        await desk.replay(1, 77)
    with pytest.raises(DeadLetterError, match="rate"):
        await desk.replay(1, rate=0)
    assert (await desk.statuses())[0] == "dead"


async def test_an_unreadable_record_can_be_read_by_a_later_release(desk: Desk) -> None:
    good = record(KEY, 1)
    bad = Record(TOPIC, str(KEY), b'{"seller_id": 1}', good.headers)
    await desk.bus.publish([bad, record(KEY, 2)])
    await desk.consumer.run()
    await desk.replay(1)
    await desk.consumer.run()
    assert await desk.statuses() == ["dead", "parked"]
    await desk.database.rows("UPDATE dead_letter SET value = :value WHERE id = 1 RETURNING id", value=good.value)
    await desk.replay(1)
    await desk.consumer.run()
    assert await desk.database.effects() == {str(KEY): [1, 2]}


async def test_another_member_takes_up_a_replay_by_itself(desk: Desk) -> None:
    await stuck(desk)
    await desk.consumer.close()
    desk.refused = set()
    other = Consumer("c", desk.database, desk.bus, [TOPIC], desk.handle, desk.clock)
    await other.run()
    await desk.replay(1)
    started = time.monotonic()
    assert await other.run() == 4
    assert time.monotonic() - started < 2
