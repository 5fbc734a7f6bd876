"""Every event three times, shuffled, to members that die before their commits: one effect each."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import UUID, uuid4

from remit_testing.delivery import DeliveryDatabase, FaultyBus, SettableClock, record, writing
from remit_testing.figures import Invariant

from remit_events.bus import FencedError, Received
from remit_events.consumer import Consumer
from remit_events.session import Session

TOPIC = "remit.notifications.v1"
CUSTOMERS, EVENTS = 6, 8


async def test_each_event_three_times_in_any_order_has_one_effect(
    delivery_database: DeliveryDatabase,
    delivery_bus: FaultyBus,
    rounds: Callable[..., int],
    chance: random.Random,
    invariant: Callable[[int, str], Invariant],
) -> None:
    database, bus = delivery_database, delivery_bus
    total, hits, wanted = rounds(full=400, short=10), Counter[str](), dict[UUID, int]()

    async def handle(session: Session, batch: Sequence[Received]) -> None:
        await writing("c")(session, batch)
        if chance.random() < 0.2:
            hits["before commit"] += 1
            raise ConnectionResetError

    async def fenced() -> None:
        hits["before offset"] += 1
        raise FencedError("died")

    for _ in range(total):
        customers = [uuid4() for _ in range(CUSTOMERS)]
        records = [record(customer, n) for customer in customers for n in range(EVENTS)] * 3
        wanted |= {UUID(dict(one.headers)["ce_id"].decode()): 1 for one in records}
        chance.shuffle(records)
        await bus.publish(records)
        left = len(records)
        while left > 0:
            member = Consumer("c", database, bus, [TOPIC], handle, SettableClock(), batch=chance.randint(5, 60))
            dies = chance.random() < 0.3
            if dies:
                member._subscription.commit = fenced  # type: ignore[method-assign]
            with suppress(ConnectionResetError):
                await member.run()
            await member.close()
            left = await bus.lag("c", [TOPIC])
    rows = await database.rows("SELECT event_id, count(*) AS n FROM effect GROUP BY 1")
    effects = {row.event_id: row.n for row in rows}
    assert effects == wanted
    invariant(5, "effect once, each event three times shuffled").held(
        rounds=total, events=len(wanted), deliveries=3 * len(wanted), lost=0, doubled=0, hits=dict(sorted(hits.items()))
    )
