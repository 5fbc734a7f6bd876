"""Rounds of a path and of what stands beside it, in turns, so that both meet the machine in the same mood."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from remit_bench.machine import Processes
from remit_service.commands import what_stays_left_alone

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


@dataclass(frozen=True, slots=True)
class Row:
    """What was reached, beside what, and the goal: the least it should be, or with `most` the most."""

    what: str
    reached: float
    unit: str
    beside: str | None = None
    goal: float | None = None
    most: bool = False

    @property
    def met(self) -> bool | None:
        """None without a goal."""
        return None if self.goal is None else (self.reached <= self.goal if self.most else self.reached >= self.goal)


@dataclass
class Figure:
    """One figure by round; `most` is its goal: no more than that."""

    what: str
    unit: str
    most: float | None = None
    beside: str | None = None
    rounds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)


@dataclass
class Measured:
    """A path by figures that are no rates: seconds, bytes, how much dearer it became. Less is better."""

    name: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def rows(self) -> list[Row]:
        return [Row(one.what, one.median, one.unit, one.beside, one.most, most=True) for one in self.figures]


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

    def rows(self) -> list[Row]:
        """Its rate, then its ratio to each that stands beside it."""
        rate = Row(self.name, self.rate(), f"{self.what}/s", goal=self.least)
        others = [name for name in self.rounds if name != "path"]
        return [rate, *(Row(self.name, self.ratio(name), "×", name, self.goals.get(name)) for name in others)]

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
    found.rounds = await in_turns(processes, rounds, {**beside, "path": path}, before)
    return found


async def in_turns(
    processes: Processes,
    rounds: int,
    turns: Mapping[str, Round],
    before: Mapping[str, Callable[[], Awaitable[None]]],
) -> dict[str, list[Timed]]:
    """As `compare`, of any turns."""
    found: dict[str, list[Timed]] = {name: [] for name in turns}
    for n in range(rounds + 1):
        for name, turn in turns.items():
            if name in before:
                await before[name]()
            timed = await _timed(processes, turn)
            if n:
                found[name].append(timed)
    return found


async def _timed(processes: Processes, turn: Round) -> Timed:
    # As a service's process: what was made for the measuring is nothing its collector would go through.
    with what_stays_left_alone():
        before, began = processes.cpu(), time.perf_counter()
        units = await turn()
        seconds, after = time.perf_counter() - began, processes.cpu()
    return Timed(units, seconds, {group: max(after[group] - before.get(group, 0.0), 0.0) for group in after})
