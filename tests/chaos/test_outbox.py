"""Many writers, three relays that die all the time: what was committed is published in order, and nothing else is."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from uuid import UUID, uuid4

import asyncpg
from remit_testing.delivery import NOW, DeliveryDatabase, FaultyBus, SettableClock, event, first_numbers, read_all
from remit_testing.figures import Invariant
from sqlalchemy import text

from remit_events.bus import BusError
from remit_events.outbox import emit
from remit_events.relay import Relay

TOPIC = "remit.notifications.v1"
WRITERS, RELAYS = 6, 3
KILLS = ("session ended", "before publish", "before mark")
LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")
END_A_RELAY = (
    "SELECT pg_terminate_backend(pid) FROM (SELECT DISTINCT pid FROM pg_locks"
    " WHERE locktype = 'advisory' AND objsubid = 2 AND database = (SELECT oid FROM pg_database"
    " WHERE datname = current_database())) l"
)
DEATHS = (BusError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)


class ChangedMyMind(Exception):  # noqa: N818
    """Rolls a writer's transaction back."""


class Writers:
    """`committed` has per customer the numbers whose transaction ended well, in the order of their commits."""

    def __init__(self, database: DeliveryDatabase, chance: random.Random) -> None:
        self.customers = [uuid4() for _ in range(12)]
        self.committed: dict[UUID, list[int]] = {customer: [] for customer in self.customers}
        self.hits = Counter[str]()
        self._database, self._chance = database, chance
        self._numbers = iter(range(10**9))

    async def write(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._transaction(sorted(self._chance.sample(self.customers, 3)))
            except ChangedMyMind:
                self.hits["rolled back"] += 1
            await asyncio.sleep(self._chance.random() * 0.01)

    async def _transaction(self, chosen: list[UUID]) -> None:
        """As services do: customers locked in id order, then the events; held open for a while, so many commit late."""
        written: dict[UUID, int] = {}
        changes = self._chance.random() < 0.25
        async with self._database.transaction() as session:
            for customer in chosen:
                await session.execute(LOCK, {"key": str(customer)})
            for customer in chosen:
                written[customer] = next(self._numbers)
            await emit(session, [event(customer, number) for customer, number in written.items()], now=NOW)
            await asyncio.sleep(self._chance.random() * 0.02)
            if changes:
                raise ChangedMyMind
            session.after_commit.append(lambda: self._note(written))

    def _note(self, written: dict[UUID, int]) -> None:
        self.hits["committed"] += 1
        for customer, number in written.items():
            self.committed[customer].append(number)


async def test_what_was_committed_is_published_in_order_and_nothing_else(
    delivery_database: DeliveryDatabase,
    delivery_bus: FaultyBus,
    rounds: Callable[..., int],
    chance: random.Random,
    invariant: Callable[[int, str], Invariant],
) -> None:
    """A round is a death: of the relays' sessions, before a batch is published, or after and before it is marked."""
    database, bus, stop = delivery_database, delivery_bus, asyncio.Event()
    total = rounds(full=2_000, short=60)
    writers = Writers(database, chance)
    relays = [Relay(database, bus, "/notifier-svc", SettableClock(), batch=7) for _ in range(RELAYS)]

    async def run(relay: Relay) -> None:
        while not stop.is_set():
            relay._lock_at = 0.0
            try:
                await relay.run()
            except DEATHS:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.001)

    async def kill() -> None:
        while sum(writers.hits[how] for how in KILLS) < total:
            await asyncio.sleep(0.02)
            how = min(KILLS, key=lambda one: (writers.hits[one], chance.random()))
            if how == "session ended":
                writers.hits[how] += len(await database.rows(END_A_RELAY)) > 0
                continue
            at = "fail_before" if how == "before publish" else "fail_after"
            writers.hits[how] += getattr(bus, at) == 0
            setattr(bus, at, 1)
        stop.set()

    await asyncio.gather(kill(), *(run(relay) for relay in relays), *(writers.write(stop) for _ in range(WRITERS)))
    bus.fail_before = bus.fail_after = 0
    for relay in relays:
        await relay.close()
    last = Relay(database, bus, "/notifier-svc", SettableClock())
    while await last.run():
        pass
    await last.close()
    delivered = first_numbers(await read_all(bus, TOPIC))
    wanted = {str(customer): numbers for customer, numbers in writers.committed.items() if numbers}
    assert {key: sorted(numbers) for key, numbers in delivered.items()} == {k: sorted(n) for k, n in wanted.items()}
    inverted = [key for key in wanted if delivered[key] != wanted[key]]
    assert inverted == []
    events, hits = sum(map(len, wanted.values())), dict(sorted(writers.hits.items()))
    invariant(1, "committed → published, relay dies before and after publishing").held(
        rounds=total, events=events, lost=0, hits=hits
    )
    invariant(2, "rollback emits nothing").held(rounds=hits["rolled back"], published=0)
    invariant(3, "order per key, three relays that are killed").held(rounds=total, events=events, inversions=0)
    invariant(4, "late commits are not skipped").held(rounds=hits["committed"], lost=0)
