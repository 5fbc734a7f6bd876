"""Host clocks that are off by an hour, and days of downtime: the same messages, and none too many."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from remit_testing.figures import Invariant
from remit_testing.fixtures import MakeDatabase
from remit_testing.weeks import weeks

from remit_local.home import SERVICES

DAYS = 18
DOWN = timedelta(days=3)


async def test_host_clocks_that_are_off_by_an_hour_change_nothing(
    make_database: MakeDatabase,
    tmp_path: Path,
    rounds: Callable[..., int],
    seed: int,
    invariant: Callable[[int, str], Invariant],
) -> None:
    total, mails, offs = rounds(full=60, short=1), 0, Counter[str]()
    for n in range(total):
        off = _off(random.Random(f"{seed} off {n}"))  # noqa: S311
        seen = []
        for one in ({}, off):
            async with weeks(make_database, tmp_path, random.Random(f"{seed} {n}"), off=one) as on:  # noqa: S311
                await on.play(days=DAYS)
                seen.append((on.mails, await on.decisions()))
        (right_mails, right), (off_mails, other) = seen
        said = {name: str(by) for name, by in off.items()}
        assert other == right, said
        assert off_mails == right_mails, said
        mails += sum(right_mails.values())
        offs.update(f"{name} {'ahead' if by > timedelta() else 'behind'}" for name, by in off.items())
    invariant(15, "host clocks off by up to an hour").held(
        rounds=total, messages=mails, lost=0, doubled=0, changed=0, hits=dict(sorted(offs.items()))
    )


def _off(chance: random.Random) -> dict[str, timedelta]:
    """An hour either way for about half of the services."""
    return {name: timedelta(hours=chance.choice((-1, 1))) for name in chance.sample(SERVICES, chance.randint(1, 3))}


async def test_three_days_of_downtime_give_at_most_one_reminder_per_invoice(
    make_database: MakeDatabase,
    tmp_path: Path,
    rounds: Callable[..., int],
    chance: random.Random,
    invariant: Callable[[int, str], Invariant],
) -> None:
    total, most, late = rounds(full=60, short=1), 0, 0
    for _ in range(total):
        async with weeks(make_database, tmp_path, chance) as on:
            for _ in range(3):
                await on.play(days=chance.randint(2, 5))
                before = len(on.peer.ledger)
                await on.away(DOWN + timedelta(hours=chance.randint(0, 23)))
                await on.play(days=1)
                gone = Counter(number for one in on.peer.ledger[before:] for number in on.pays if number in one.text)
                late += len(gone)
                most = max([most, *gone.values()])
            await on.play(days=3)
            ends = await on.decisions()
        assert most <= 1
        assert all(len(steps) == len({step for step, *_ in steps}) for steps in ends.values()), ends
    invariant(16, "three days of downtime").held(rounds=3 * total, invoices_reminded_after=late, most_per_invoice=most)
