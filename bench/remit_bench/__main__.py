"""`make bench`: runs the paths asked for, prints a table of ratios, writes bench/results/*.json and the page.

python -m remit_bench [PATH ...] [--rounds 5] [--scale 1.0] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from importlib import import_module
from pathlib import Path

import uvloop

from remit_bench.machine import facts
from remit_bench.page import write_page
from remit_bench.results import Found, table, write
from remit_bench.stage import Stage, stage

PATHS = (
    "importing",
    "posting",
    "relaying",
    "planning",
    "sweeping",
    "sending",
    "signing",
    "latency",
    "growth",
    "scaling",
    "footprint",
    "simulating",
)
RESULTS = Path(__file__).parents[1] / "results"
DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"
LEAST_ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description="Each path beside its peer or its limit.")
    parser.add_argument("paths", nargs="*", metavar="PATH", help=f"of {', '.join(PATHS)}; all unless named")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS, help="medians are of so many (default %(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="less than 1: smaller, and kept nowhere")
    parser.add_argument("--out", type=Path, help="write there, of whatever size")
    given = parser.parse_args()
    if unknown := sorted(set(given.paths) - set(PATHS)):
        parser.error(f"there is no path {unknown[0]!r}; there are {', '.join(PATHS)}")
    machine = facts()
    print(" · ".join(machine.values()), file=sys.stderr)
    with stage(given.rounds, given.scale) as on, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for name in given.paths or PATHS:
            found: Found = runner.run(_path(name, on))
            print(table(found), flush=True)
            if given.out:
                write(given.out, name, found, machine)
                write_page(given.out, given.out / DOCUMENT.name, PATHS)
            elif given.scale >= 1 and given.rounds >= LEAST_ROUNDS:
                write(RESULTS, name, found, machine)
                write_page(RESULTS, DOCUMENT, PATHS)


async def _path(name: str, on: Stage) -> Found:
    found: Found = await import_module(f"remit_bench.paths.{name}").run(on)
    return found


if __name__ == "__main__":
    main()
