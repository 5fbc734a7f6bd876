"""What was found, as lines to read and as JSON to keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from remit_bench.measure import Comparison, Measured, Row

ENOUGH = 0.8  # of a quoted figure

Found = Comparison | Measured


def table(found: Found) -> str:
    """Figures with their goals; of a comparison also who took how much of the processor."""
    lines = _compared(found) if isinstance(found, Comparison) else _measured(found)
    return "\n".join(lines + [f"  {note}" for note in found.notes])


def write(folder: Path, name: str, found: Found, machine: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = {"name": found.name, "machine": dict(machine), "rows": [_row(one) for one in found.rows()]}
    content |= _rates(found) if isinstance(found, Comparison) else _figures(found)
    content["notes"] = found.notes
    (folder / f"{name}.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def shown(value: float, unit: str) -> str:
    """As many digits as mean something."""
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.2f} {unit}"


def _compared(found: Comparison) -> list[str]:
    rate, *ratios = found.rows()
    lines = [f"{found.name}: {shown(rate.reached, rate.unit)}{_goal(rate)}"]
    for row in ratios:
        name = str(row.beside)
        lines.append(f"  {row.reached:.2f} of {name} ({found.rate(name):,.0f}/s{_quoted(found, name)}){_goal(row)}")
    for name in ("path", *(str(row.beside) for row in ratios)):
        taken = ", ".join(f"{group} {seconds * 1e6:,.0f}" for group, seconds in found.cpu_per_unit(name).items())
        lines.append(f"  µs of processor per unit, {name}: {taken}")
    return lines


def _measured(found: Measured) -> list[str]:
    rows = found.rows()
    return [found.name, *(f"  {row.what}: {shown(row.reached, row.unit)}{_goal(row)}" for row in rows)]


def _rates(found: Comparison) -> dict[str, Any]:
    return {
        "unit": found.what,
        "rates": {of: found.rate(of) for of in found.rounds},
        "quoted": dict(found.quoted),
        "cpu_seconds_per_unit": {of: found.cpu_per_unit(of) for of in found.rounds},
        "rounds": {of: [[one.units, one.seconds] for one in timed] for of, timed in found.rounds.items()},
    }


def _figures(found: Measured) -> dict[str, Any]:
    return {"figures": [asdict(one) for one in found.figures]}


def _row(row: Row) -> dict[str, Any]:
    return asdict(row) | {"met": row.met}


def _goal(row: Row) -> str:
    if row.goal is None:
        return ""
    words = f"at {'most' if row.most else 'least'} {shown(row.goal, row.unit)}"
    return f", goal {words}: {'met' if row.met else 'MISSED'}"


def _quoted(found: Comparison, name: str) -> str:
    quoted = found.quoted.get(name)
    if quoted is None:
        return ""
    return f", {found.rate(name) / quoted:.0%} of the {quoted:,.0f} quoted" + (
        "" if found.rate(name) >= ENOUGH * quoted else ": too slow a peer"
    )
