"""What a bench run leaves behind, and that its paths can be loaded; `make bench` itself runs each of them first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

from remit_bench.__main__ import PATHS
from remit_bench.machine import Processes
from remit_bench.measure import Comparison, Figure, Measured, Timed
from remit_bench.page import BEGIN, END, write_page
from remit_bench.results import table, write

MACHINE = dict.fromkeys(("at", "cpu", "memory", "system", "python", "calibration"), "?")
FAST, SLOW = Comparison("fast", "things", goals={"peer": 0.5}, quoted={"peer": 300}), Measured("slow")
FAST.rounds = {
    "path": [Timed(100, seconds, {"service": 0.5}) for seconds in (1.0, 4.0, 2.0)],
    "peer": [Timed(100, 0.4, {"client": 0.1})] * 3,
}
SLOW.figures = [Figure("start", "s", 10, rounds=[9.0, 12.0, 11.0]), Figure("rest", "MB", rounds=[1.0])]


def test_medians_are_held_against_goals():
    assert table(FAST).splitlines() == [
        "fast: 50.00 things/s",
        "  0.20 of peer (250/s, 83% of the 300 quoted), goal at least 0.50 ×: MISSED",
        "  µs of processor per unit, path: service 5,000",
        "  µs of processor per unit, peer: client 1,000",
    ]
    assert table(SLOW).splitlines() == ["slow", "  start: 11.00 s, goal at most 10.00 s: MISSED", "  rest: 1.00 MB"]


def test_the_page_and_the_table_come_from_the_files(tmp_path: Path):
    """Figures of a run replace those of the last; what is written around them stays."""
    document = tmp_path / "performance.md"
    document.write_text(f"# Before\n{BEGIN}\n| old |\n{END}\nafter\n")
    for name, found in (("importing", FAST), ("growth", SLOW)):
        write(tmp_path, name, found, MACHINE)
        write_page(tmp_path, document, PATHS)
    said = document.read_text()
    assert (said.startswith("# Before\n"), said.endswith(f"{END}\nafter\n"), "old" in said) == (True, True, False)
    assert "| fast | peer | ≥ 0.50 × | 0.20 ×, **missed** |" in said
    assert "| slow: start | – | ≤ 10.00 s | 11.00 s, **missed** |" in said
    assert "| fast | Remit | service 5,000 |" in said
    assert json.loads((tmp_path / "importing.json").read_text())["rows"][1]["met"] is False
    page = (tmp_path / "index.html").read_text()
    plots = [ElementTree.fromstring(f"<svg{one.partition('</svg>')[0]}</svg>") for one in page.split("<svg")[1:]]  # noqa: S314
    assert [sum(shape.tag == "rect" for shape in plot.iter()) for plot in plots] == [2, 2]


def test_every_path_can_be_loaded():
    for name in PATHS:
        assert callable(import_module(f"remit_bench.paths.{name}").run)


# Takes as much of the processor itself as a child then does that has ended when it says so, as a backend of PostgreSQL
# ends; the rest of its life it waits.
BURN = "import time\nwhile time.process_time() < 0.2: pass\n"
PARENT = f"""{BURN}
import subprocess, sys
print("before", flush=True); sys.stdin.readline()
subprocess.run([sys.executable, "-c", {BURN!r}], check=True)
print("after", flush=True); sys.stdin.readline()
"""


def test_what_ended_counts_with_whoever_waited_for_it():
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        processes = Processes({"group": lambda: parent.pid, "client": os.getpid})
        parent.stdout.readline()
        before = processes.cpu()
        print(file=parent.stdin, flush=True)
        parent.stdout.readline()
        after = processes.cpu()
        print(file=parent.stdin, flush=True)
    assert before["group"] >= 0.15
    assert after["group"] - before["group"] >= 0.15
    waited_for = processes.cpu()["client"] - after["client"]
    assert waited_for < 0.15, "a group of its own does not count with whoever started it"
