"""Rounds of a path and of what stands beside it, in turns, so that both meet the machine in the same mood."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from remit_bench.machine import Processes

Round = Callable[[], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Timed:
    """One round: how many units in how many seconds, and the CPU seconds each group of processes took."""

    units: int
    seconds: float
    cpu: Mapping[str, float]

    @property
    def rate(self) -> float:
        return self.units / self.seconds


@dataclass
class Comparison:
    """A path, `what` it counts, and what stands beside it; `goals` are the least ratios to each of those.

    `quoted` are rates known from elsewhere: what stands beside reaches 80 % of them, or the page says why not.
    """

    name: str
    what: str
    goals: Mapping[str, float] = field(default_factory=dict)
    least: float | None = None
    quoted: Mapping[str, float] = field(default_factory=dict)
    rounds: dict[str, list[Timed]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def rate(self, of: str = "path") -> float:
        """The median of its rounds, in units per second."""
        return statistics.median(one.rate for one in self.rounds[of])

    def ratio(self, beside: str) -> float:
        return self.rate() / self.rate(beside)

    def cpu_per_unit(self, of: str = "path") -> dict[str, float]:
        """CPU seconds per unit by group of processes, over all rounds."""
        units = sum(one.units for one in self.rounds[of])
        groups = {group for one in self.rounds[of] for group in one.cpu}
        return {group: sum(one.cpu.get(group, 0.0) for one in self.rounds[of]) / units for group in sorted(groups)}


async def compare(
    found: Comparison,
    processes: Processes,
    rounds: int,
    path: Round,
    beside: Mapping[str, Round],
    before: Mapping[str, Callable[[], Awaitable[None]]],
) -> Comparison:
    """Each round gives how many units it did; the first of each only warms up. `before` is not timed."""
    turns = {**beside, "path": path}
    for n in range(rounds + 1):
        for name, turn in turns.items():
            if name in before:
                await before[name]()
            timed = await _timed(processes, turn)
            if n:
                found.rounds.setdefault(name, []).append(timed)
    return found


async def _timed(processes: Processes, turn: Round) -> Timed:
    # What was made for the measuring is no part of what the collector would go through in a service.
    gc.collect()
    gc.freeze()
    before, began = processes.cpu(), time.perf_counter()
    units = await turn()
    seconds, after = time.perf_counter() - began, processes.cpu()
    return Timed(units, seconds, {group: max(after[group] - before.get(group, 0.0), 0.0) for group in after})
