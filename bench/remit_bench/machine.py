"""What the figures were measured on, and what each group of processes took of it (Linux: /proc)."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def facts() -> dict[str, str]:
    """`calibration`: seconds this Python needs for ten million additions, to compare two runs by."""
    model = next((line.split(":", 1)[1].strip() for line in _lines("cpuinfo") if line.startswith("model name")), "?")
    memory = next((line.split()[1] for line in _lines("meminfo") if line.startswith("MemTotal")), "0")
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": f"{os.cpu_count()} × {model}",
        "memory": f"{int(memory) / 1e6:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "calibration": f"{_calibrate():.2f} s",
    }


def _lines(name: str) -> list[str]:
    path = PROC / name
    return path.read_text().splitlines() if path.exists() else []


def _calibrate() -> float:
    began, total = time.perf_counter(), 0
    while total < 10_000_000:
        total += 1
    return time.perf_counter() - began


class Processes:
    """CPU seconds of groups of processes: `groups` gives the roots of each; their descendants count with them."""

    def __init__(self, groups: Mapping[str, Callable[[], int | None]]) -> None:
        self._groups = groups

    def cpu(self) -> dict[str, float]:
        """What has ended counts with whoever waited for it, as a backend does with its server: no group falls back.

        A process that is a root of its own does not count with its parent. This process starts such roots, and counts
        without what it waited for.
        """
        table = _table()
        roots = {pid: name for name, root in self._groups.items() if (pid := root()) is not None}
        found = dict.fromkeys(self._groups, 0.0)
        for pid, one in table.items():
            above = pid
            while above in table and above not in roots:
                above = table[above].parent
            if above in roots:
                found[roots[above]] += one.own + (0.0 if pid == os.getpid() else one.ended)
        return found


@dataclass(frozen=True, slots=True)
class _Taken:
    """CPU seconds of a process itself, and of its children that ended and were waited for, with theirs (proc(5))."""

    parent: int
    own: float
    ended: float


def _table() -> dict[int, _Taken]:
    found = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        user, system, ended_user, ended_system = (int(ticks) / TICK for ticks in fields[11:15])
        found[int(folder.name)] = _Taken(int(fields[1]), user + system, ended_user + ended_system)
    return found


def below(root: int) -> list[int]:
    """The ids of a process and of all its descendants."""
    table = _table()
    found = [root]
    for pid in found:
        found += [child for child, one in table.items() if one.parent == pid]
    return found
