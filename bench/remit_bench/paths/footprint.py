"""`remit run` in an empty folder: how soon the first reminder is out, and the memory all its processes take at rest."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from pathlib import Path

from remit_testing.ports import free_ports
from remit_testing.terminal import RUNNING, RemitRun, Terminal

from remit_bench.machine import PROC, below
from remit_bench.measure import Figure, Measured
from remit_bench.stage import Stage

LOOK_SECONDS, GIVE_UP_SECONDS, REST_SECONDS = 0.02, 300.0, 5.0
MOST_SECONDS, MOST_MEGABYTES = 10, 350


async def run(stage: Stage) -> Measured:
    found = Measured("remit run in an empty folder")
    first = Figure("start to the first reminder", "s", MOST_SECONDS)
    table = Figure("start to the table", "s")
    memory = Figure("memory of all processes at rest (PSS)", "MB", MOST_MEGABYTES)
    services, server = Figure("of it the four services", "MB"), Figure("of it PostgreSQL", "MB")
    found.figures = [first, table, memory, services, server]
    for n in range(stage.rounds):
        folder = stage.folder / f"run-{n}"
        folder.mkdir()
        began = time.perf_counter()
        with RemitRun(Terminal(folder), "--port", str(free_ports())) as running:
            first.rounds.append(_until_reminded(running, folder / ".remit" / "mailbox", began))
            running.ready(GIVE_UP_SECONDS)
            table.rounds.append(time.perf_counter() - began)
            await asyncio.sleep(REST_SECONDS)
            pid = json.loads((folder / ".remit" / "running.json").read_text())["pid"]
            postmaster = int((folder / ".remit" / "postgres" / "postmaster.pid").read_text().split()[0])
            theirs, its = megabytes(pid), megabytes(postmaster)
            services.rounds.append(theirs)
            server.rounds.append(its)
            memory.rounds.append(theirs + its)
        shutil.rmtree(folder)
    return found


def _until_reminded(running: RemitRun, mailbox: Path, began: float) -> float:
    """Seconds until a message lies there that is no invoice."""
    while time.perf_counter() - began < GIVE_UP_SECONDS and RUNNING not in running.said:
        if any("-invoice-" not in path.name for path in mailbox.glob("*.eml")):
            return time.perf_counter() - began
        time.sleep(LOOK_SECONDS)
    raise RuntimeError(f"no reminder in {GIVE_UP_SECONDS:.0f} s\n{running.said}{running.complained}")


def megabytes(root: int) -> float:
    """The proportional set size (PSS) of a process and all below it: what is shared counts once."""
    return sum(_kilobytes(pid) for pid in below(root)) * 1024 / 1e6


def _kilobytes(pid: int) -> int:
    lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
