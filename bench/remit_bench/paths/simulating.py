"""`remit simulate` of a ledger of two years, as a user types it."""

from __future__ import annotations

import itertools
import shutil
import time
from pathlib import Path

from remit_testing.simulations import simulate
from remit_testing.two_years import TWO_YEARS

from remit_bench.measure import Figure, Measured
from remit_bench.stage import Stage

MOST_SECONDS = 60


async def run(stage: Stage) -> Measured:
    if not TWO_YEARS.exists():
        raise RuntimeError(f"{TWO_YEARS} is not here; REMIT_SHARED_DATA names its folder")
    ledger, rows = _part(stage)
    found = Measured(f"simulation of {rows:,} invoices of two years")
    seconds = Figure("start to the last file written", "s", MOST_SECONDS)
    found.figures = [seconds]
    for n in range(stage.rounds):
        out = stage.folder / f"simulated-{n}"
        began = time.perf_counter()
        simulate(ledger, out)
        seconds.rounds.append(time.perf_counter() - began)
        shutil.rmtree(out)
    return found


def _part(stage: Stage) -> tuple[Path, int]:
    """At a smaller scale rows from all over the two years, one in so many."""
    head, *lines = TWO_YEARS.read_text(encoding="utf-8").splitlines(keepends=True)
    count = min(stage.size(len(lines)), len(lines))
    chosen = list(itertools.islice(lines[:: len(lines) // count], count))
    ledger = stage.folder / TWO_YEARS.name
    ledger.write_text("".join([head, *chosen]), encoding="utf-8")
    return ledger, len(chosen)
