"""Poison: put aside within seconds while the rest flows; what is replayed twice takes effect once, in its order."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

import pytest
from remit_testing.delivery import DeliveryDatabase, SettableClock, number_of, record, writing
from remit_testing.figures import Invariant
from sqlalchemy import text

from remit_events import dead_letters
from remit_events.bus import Bus, Received, Record, open_bus
from remit_events.consumer import Consumer
from remit_events.session import Session

TOPIC = "remit.notifications.v1"
CUSTOMERS, EVENTS = 6, 5
LIMIT_SECONDS = 5.0
IN_ORDER = list(range(EVENTS))
# How many records of a key stand behind each of its letters.
LETTERS = text("SELECT id, key, count(*) OVER (PARTITION BY key ORDER BY id DESC) - 1 AS behind FROM dead_letter")
MEND = text("UPDATE dead_letter SET value = :value, headers = CAST(:headers AS json) WHERE id = :id")
SHARES = {"refused by the handler": 0.06, "no headers": 0.04, "no JSON": 0.04, "another shape": 0.04}


class Desk:
    """A consumer whose handler refuses some events, until it is mended."""

    def __init__(self, database: DeliveryDatabase, bus: Bus) -> None:
        self.database, self.clock = database, SettableClock()
        self.refused: set[UUID] = set()
        self.consumer = Consumer("c", database, bus, [TOPIC], self._handle, self.clock)

    async def _handle(self, session: Session, batch: Sequence[Received]) -> None:
        await writing("c")(session, batch)
        if bad := [number_of(one) for one in batch if one.message.id in self.refused]:
            raise ValueError(f"refused {min(bad)}")

    async def run(self, wanted: int) -> None:
        settled = 0
        async with asyncio.timeout(60):
            while settled < wanted:
                settled += await self.consumer.run()

    async def replay(self) -> None:
        """Every letter there is, whatever became of it, and those that wait behind them."""
        async with self.database.transaction() as session:
            rows = await session.execute(text("SELECT id FROM dead_letter ORDER BY id"))
            ids = [row.id for row in rows]
            await dead_letters.replay(session, ids, by="ada", now=self.clock.now(), reason="mended")
        self.consumer._letters_due = 0.0
        while await self.consumer.run():
            pass

    async def mend(self, whole: dict[UUID, list[Record]]) -> None:
        """The handler takes everything, and in the place of what could not be read stands what can be."""
        self.refused.clear()
        async with self.database.transaction() as session:
            for row in (await session.execute(LETTERS)).all():
                good = whole[UUID(row.key)][EVENTS - row.behind - 1]
                headers = json.dumps([[name, value.decode()] for name, value in good.headers])
                await session.execute(MEND, {"id": row.id, "value": good.value, "headers": headers})


def spoilt(one: Record, how: str) -> Record:
    if how == "no headers":
        return Record(one.topic, one.key, one.value, [("ce_id", b"\xff\x00")])
    if how == "no JSON":
        return Record(one.topic, one.key, b"\x00{" + one.value, one.headers)
    return Record(one.topic, one.key, b'{"seller_id": 1}', one.headers) if how == "another shape" else one


@pytest.mark.parametrize("transport", ["postgresql", pytest.param("kafka", marks=pytest.mark.kafka)])
async def test_poison_is_put_aside_and_replayed_twice(
    transport: str,
    request: pytest.FixtureRequest,
    delivery_url: str,
    delivery_database: DeliveryDatabase,
    rounds: Callable[..., int],
    chance: random.Random,
    invariant: Callable[[int, str], Invariant],
) -> None:
    url = str(request.getfixturevalue("kafka_url")) if transport == "kafka" else delivery_url
    bus = open_bus(url, prefix=f"t{uuid4().hex}.")
    await bus.ensure_topics()
    desk, total, hits, slowest = Desk(delivery_database, bus), rounds(full=200, short=2), Counter[str](), 0.0
    for _ in range(total):
        whole = {uuid4(): list[Record]() for _ in range(CUSTOMERS)}
        records, poisoned = [], set[UUID]()
        for number, customer in itertools.product(range(EVENTS), whole):
            one = record(customer, number)
            how = chance.choices(["fine", *SHARES], [1 - sum(SHARES.values()), *SHARES.values()])[0]
            whole[customer].append(one)
            if how == "refused by the handler":
                desk.refused.add(UUID(dict(one.headers)["ce_id"].decode()))
            if how != "fine":
                hits[how] += 1
                poisoned.add(customer)
            records.append(spoilt(one, how))
        began = time.monotonic()
        await bus.publish(records)
        await desk.run(len(records))
        slowest = max(slowest, time.monotonic() - began)
        effects = await delivery_database.effects()
        assert all(effects[str(customer)] == IN_ORDER for customer in whole.keys() - poisoned), "others flow"
        await desk.mend(whole)
        for _ in range(2):
            await desk.replay()
        effects = await delivery_database.effects()
        assert {customer: effects[str(customer)] for customer in whole} == dict.fromkeys(whole, IN_ORDER)
        statuses = await delivery_database.rows("DELETE FROM dead_letter RETURNING status")
        assert {row.status for row in statuses} <= {"replayed"}
    assert slowest < LIMIT_SECONDS
    await desk.consumer.close()
    await bus.close()
    poison, hit = sum(hits.values()), dict(sorted(hits.items()))
    invariant(22, f"poison put aside, others flow, over {transport}").held(
        rounds=total, events=total * CUSTOMERS * EVENTS, poison=poison, slowest_s=round(slowest, 2), hits=hit
    )
    invariant(23, f"dead letters replayed twice over {transport}").held(
        rounds=total, poison=poison, extra=0, inversions=0
    )
