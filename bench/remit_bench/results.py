"""A comparison as lines to read and as JSON to keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from remit_bench.measure import Comparison

ENOUGH = 0.8  # of a quoted figure


def table(found: Comparison) -> str:
    """The path's rate, its ratio to what stands beside it, and who took how much of the processor."""
    lines = [f"{found.name}: {found.rate():,.0f} {found.what}/s{_goal(found.least, found.rate(), ' at least {:,.0f}')}"]
    for name in found.rounds:
        if name != "path":
            ratio, goal = found.ratio(name), _goal(found.goals.get(name), found.ratio(name), " goal {:.2f}")
            lines.append(f"  {ratio:.2f} of {name} ({found.rate(name):,.0f}/s{_quoted(found, name)}){goal}")
    for name in ("path", *(one for one in found.rounds if one != "path")):
        taken = ", ".join(f"{group} {seconds * 1e6:,.0f}" for group, seconds in found.cpu_per_unit(name).items())
        lines.append(f"  µs of processor per unit, {name}: {taken}")
    return "\n".join(lines + [f"  {note}" for note in found.notes])


def write(folder: Path, name: str, found: Comparison, machine: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(_json(found, machine), indent=2) + "\n", encoding="utf-8")


def _json(found: Comparison, machine: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": found.name,
        "unit": found.what,
        "machine": dict(machine),
        "rates": {of: found.rate(of) for of in found.rounds},
        "ratios": {of: found.ratio(of) for of in found.rounds if of != "path"},
        "goals": {**found.goals, **({"rate": found.least} if found.least else {})},
        "quoted": dict(found.quoted),
        "cpu_seconds_per_unit": {of: found.cpu_per_unit(of) for of in found.rounds},
        "rounds": {of: [[one.units, one.seconds] for one in timed] for of, timed in found.rounds.items()},
        "notes": found.notes,
    }


def _goal(goal: float | None, reached: float, words: str) -> str:
    if goal is None:
        return ""
    return f",{words.format(goal)}: {'met' if reached >= goal else 'MISSED'}"


def _quoted(found: Comparison, name: str) -> str:
    quoted = found.quoted.get(name)
    if quoted is None:
        return ""
    return f", {found.rate(name) / quoted:.0%} of the {quoted:,.0f} quoted" + (
        "" if found.rate(name) >= ENOUGH * quoted else ": too slow a peer"
    )
