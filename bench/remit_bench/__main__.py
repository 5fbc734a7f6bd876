"""`make bench`: runs the paths asked for, prints a table of ratios, writes bench/results/*.json and the page.

python -m remit_bench [PATH ...] [--rounds 5] [--scale 1.0] [--out FOLDER] [--check]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

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
CHECKED = 0.0005  # the scale of a check


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description="Each path beside its peer or its limit.")
    parser.add_argument("paths", nargs="*", metavar="PATH", help=f"of {', '.join(PATHS)}; all unless named")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS, help="medians are of so many (default %(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="less than 1: smaller, and kept nowhere")
    parser.add_argument("--out", type=Path, help="write there, of whatever size")
    parser.add_argument(
        "--check", action="store_true", help="only whether each path runs: one round of next to nothing"
    )
    given = parser.parse_args()
    paths = given.paths or PATHS
    if unknown := sorted(set(paths) - set(PATHS)):
        parser.error(f"there is no path {unknown[0]!r}; there are {', '.join(PATHS)}")
    if given.check:
        with TemporaryDirectory() as out:
            measure(paths, 1, CHECKED, Path(out))
        return
    whole = given.scale >= 1 and given.rounds >= LEAST_ROUNDS
    measure(paths, given.rounds, given.scale, given.out or (RESULTS if whole else None))


def measure(paths: Iterable[str], rounds: int, scale: float, out: Path | None) -> None:
    """Prints each path's table as it is done and, with `out`, writes it there, and the page anew."""
    document = DOCUMENT if out == RESULTS else None
    with stage(rounds, scale) as on, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for name in paths:
            machine = facts()  # a shared machine is not as fast at every hour
            print(" · ".join(machine.values()), file=sys.stderr)
            found: Found = runner.run(_path(name, on))
            print(table(found), flush=True)
            if out:
                write(out, name, found, machine)
                write_page(out, document or out / DOCUMENT.name, PATHS)


async def _path(name: str, on: Stage) -> Found:
    found: Found = await import_module(f"remit_bench.paths.{name}").run(on)
    return found


if __name__ == "__main__":
    main()
