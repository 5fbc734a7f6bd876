"""A payment posted while its reminder is being claimed and sent: no reminder rests on a balance from before it."""

from __future__ import annotations

import asyncio
import random
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from remit_testing.api import Api
from remit_testing.at_once import AtOnce, address_of, now
from remit_testing.figures import Invariant
from remit_testing.fixtures import MakeDatabase
from remit_testing.installations import make_installation
from remit_testing.live import built, live
from remit_testing.smtp_peer import SmtpPeer
from remit_testing.stores import Stores
from remit_testing.witness import Witness

# Races: all, and the short part; at a time. The bus has no part in the last check: over Kafka fewer are enough.
RACES = {"PostgreSQL": (10_000, 200, 50), "Kafka": (1000, 60, 20)}
LEAST = 0.10
# Times as many at most, where the pace had to be found first.
MOST = 4
SETTLE_SECONDS = 60.0


@dataclass
class Race:
    """One invoice, its reminder and its payment; `head_start` is how long the payment waits, in seconds."""

    invoice_id: str
    number: str
    head_start: float

    @property
    def key(self) -> str:
        """The payment's Idempotency-Key."""
        return f"race-{self.number}"


class Pace:
    """How long payments wait: around the time reminders need, moved after each batch by who won."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self.middle = 0.3

    def draw(self) -> float:
        return self._random.uniform(0.2, 1.8) * self.middle

    def learn(self, reminders_won: float) -> None:
        if reminders_won in (0.0, 1.0):  # far off
            self.middle *= 0.5 if reminders_won else 2.0
        else:
            self.middle *= 0.75 if reminders_won > 0.6 else 1.33 if reminders_won < 0.4 else 1.0


async def test_no_reminder_rests_on_a_balance_from_before_the_payment(
    make_database: MakeDatabase,
    tmp_path: Path,
    events_url: str | None,
    rounds: Callable[..., int],
    seed: int,
    invariant: Callable[[int, str], Invariant],
) -> None:
    bus = "Kafka" if events_url else "PostgreSQL"
    full, short, size = RACES[bus]
    total = rounds(full=full, short=short)
    started, pace, races = now(), Pace(seed), list[Race]()
    with SmtpPeer() as peer, Witness() as witness:
        installation = await make_installation(
            make_database,
            tmp_path,
            events_url=events_url,
            extras={"notifier-svc": peer.settings},
            seller={"thank_you": False},
        )
        system = await built(installation)
        witness.watch(system.services["invoice-svc"].app)
        async with live(system), Api.of(installation) as api, Stores(installation) as stores:
            at_once = AtOnce(started)
            await at_once.rules(api)
            while len(races) < total or (_uneven(races, peer) and len(races) < MOST * total):
                batch = await run_batch(api, at_once, pace, size)
                races += batch
                await stores.settled(SETTLE_SECONDS)
                pace.learn(sum(1 for one in batch if peer.to(address_of(one.number))) / len(batch))
            statuses = await delivery_statuses(stores)
    found = judge(races, peer, witness, statuses)
    seconds = round((now() - started).total_seconds())
    invariant(11, f"payment against reminder over {bus}").held(rounds=len(races), seconds=seconds, late=0, **found)


def _uneven(races: list[Race], peer: SmtpPeer) -> bool:
    """Whether reminders or payments have won too few for both orders to be shown."""
    won = sum(1 for one in races if peer.to(address_of(one.number))) / len(races)
    return min(won, 1 - won) < 2 * LEAST


async def run_batch(api: Api, at_once: AtOnce, pace: Pace, size: int) -> list[Race]:
    """Invoices that are due for a reminder at once; each is paid by a request of its own after its head start."""
    invoices = await at_once.overdue(api, size)
    races = [Race(invoice_id, number, pace.draw()) for invoice_id, number in invoices.items()]
    await asyncio.gather(*(pay(api.clients["invoice-svc"], race) for race in races))
    return races


async def pay(client: httpx.AsyncClient, race: Race) -> None:
    await asyncio.sleep(race.head_start)
    body = {"invoice_number": race.number, "settle": True, "reference": race.key}
    answer = await client.post("/v1/payments", json=body, headers={"Idempotency-Key": race.key})
    assert answer.status_code == 201, answer.text


async def delivery_statuses(stores: Stores) -> dict[UUID, str]:
    """Per invoice how its reminder's delivery ended; without one the scheduler had heard of the payment in time."""
    statement = """SELECT touch.invoice_ids[1] AS invoice_id, delivery.status FROM touch
        JOIN delivery ON delivery.touch_id = touch.id WHERE touch.stage = 'overdue'"""
    return {row["invoice_id"]: row["status"] for row in await stores.rows("notifier-svc", statement)}


def judge(races: list[Race], peer: SmtpPeer, witness: Witness, statuses: dict[UUID, str]) -> dict[str, Any]:
    """Fails when a reminder's last check came after its payment's commit; gives who won how often."""
    late, ages, ended = list[str](), list[float](), Counter[str]()
    for race in races:
        taken = peer.to(address_of(race.number))
        status = statuses.get(UUID(race.invoice_id), "never asked for")
        assert [status == "sent"] * len(taken) == [True] * (status == "sent"), f"{race.number}: {status}, {len(taken)}"
        ended[status] += 1
        if taken:
            rested_on = witness.last_asked(race.invoice_id, taken[0].began)
            assert rested_on, f"{race.number} was reminded of without asking"
            ages.append(taken[0].began - rested_on.asked)
            if rested_on.asked > witness.commits[race.key] or rested_on.balance_minor == 0:
                late.append(f"{race.number} asked {rested_on.asked - witness.commits[race.key]:.4f} s after the commit")
    assert not late, late
    won = ended["sent"] / len(races)
    assert set(ended) <= {"sent", "cancelled", "never asked for"}, ended
    assert min(won, 1 - won) >= LEAST
    assert ended["cancelled"] >= len(races) * 0.02, "payments came while reminders were being claimed and sent"
    return {
        "reminder_first": f"{won:.0%}",
        "payment_first": f"{1 - won:.0%}",
        "taken_back_at_the_last_check": ended["cancelled"],
        "check_age_ms": f"{statistics.median(ages) * 1000:.0f}, at most {max(ages) * 1000:.0f}",
    }
