"""The page with plots, and the table for the documents, both made of the JSON files."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from remit_bench.results import shown
from remit_local.plots import BOTTOM, RIGHT, TOP, WIDTH, page, plot
from remit_local.svg import line, rect, short, text, ticks

TITLE = "Remit: each path beside its peer or its limit"
NAMES = 330  # room for names left of bars
VALUES = 50  # and for figures right of them
ROW = 30.0
BEGIN, END = "<!-- figures: made by make bench -->", "<!-- end of figures -->"

Content = Mapping[str, Any]
Bars = list[tuple[str, list[float], str]]  # name, the value of each round, and the colour


def write_page(folder: Path, document: Path, order: Iterable[str]) -> None:
    """`folder`/index.html, and the table between its marks in `document`, of what JSON files there are."""
    there = [folder / f"{name}.json" for name in order]
    found = [json.loads(path.read_text(encoding="utf-8")) for path in there if path.exists()]
    notes = [f"- {content['name']}: {note}" for content in found for note in content["notes"]]
    figures = "\n\n".join([markdown(found), processors(found), "\n".join([*notes, f"- {_machines(found)}"])])
    (folder / "index.html").write_text(page(TITLE, _headline(found), [_plot(one) for one in found]), encoding="utf-8")
    if document.exists():
        before, _, rest = document.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        document.write_text(f"{before}{BEGIN}\n{figures}\n{END}{after}", encoding="utf-8")


def markdown(found: Iterable[Content]) -> str:
    """A line per figure: path, beside, goal, reached."""
    lines = ["| path | beside it in the same run | goal | reached |", "|---|---|---|---|"]
    for content in found:
        for row in content["rows"]:
            goal = "–" if row["goal"] is None else f"{'≤' if row['most'] else '≥'} {shown(row['goal'], row['unit'])}"
            reached = shown(row["reached"], row["unit"]) + (", **missed**" if row["met"] is False else "")
            what = row["what"] if "rates" in content else f"{content['name']}: {row['what']}"
            lines.append(f"| {what} | {row['beside'] or '–'} | {goal} | {reached} |")
    return "\n".join(lines)


def processors(found: Iterable[Content]) -> str:
    """A line per path and peer: how many µs of processor a unit took of whom, the most first."""
    lines = ["| path | of whom | µs of processor per unit |", "|---|---|---|"]
    for content in found:
        for of, taken in content.get("cpu_seconds_per_unit", {}).items():
            most = sorted(taken.items(), key=lambda one: -one[1])
            shares = ", ".join(f"{who} {seconds * 1e6:,.0f}" for who, seconds in most if seconds * 1e6 >= 1)
            lines.append(f"| {content['name']} | {'Remit' if of == 'path' else of} | {shares} |")
    return "\n".join(lines)


def _headline(found: Iterable[Content]) -> str:
    return f"<p>{escape(_machines(found))}</p>"


def _machines(found: Iterable[Content]) -> str:
    """What the figures were measured on: one machine, when all were on the same."""
    named = ("cpu", "memory", "system", "python")
    return "Measured on " + "; ".join(
        sorted({" · ".join(content["machine"][name] for name in named) for content in found})
    )


def _plot(content: Content) -> str:
    goals = [_goal(content, row) for row in content["rows"] if row["goal"] is not None]
    at = f"measured {content['machine']['at']}; ten million additions took {content['machine']['calibration']}"
    note = "<br>".join(escape(words) for words in (*goals, *content["notes"], at))
    shapes: list[str] = []
    below = float(TOP)
    for bars in _bars(content):
        shapes += _scaled(bars, below)
        below += len(bars) * ROW + BOTTOM
    return plot(content["name"], note, shapes, below)


def _scaled(bars: Bars, top: float) -> list[str]:
    """Bars of one unit with their axis."""
    scale = ticks(max(max(rounds) for _, rounds, _ in bars))
    unit = (WIDTH - NAMES - RIGHT - VALUES) / scale[-1]
    bottom = top + len(bars) * ROW
    shapes = [line(x, top, x, bottom) for x in (NAMES + value * unit for value in scale)]
    shapes += [text(NAMES + v * unit, bottom + 16, short(v), anchor="middle", css="s") for v in scale]
    for index, (name, rounds, css) in enumerate(bars):
        shapes += _bar(name, rounds, css, top + index * ROW, unit)
    return shapes


def _bar(name: str, rounds: list[float], css: str, y: float, unit: float) -> list[str]:
    """The median as a bar, with a line from the least to the most of the rounds."""
    middle, least, most = statistics.median(rounds), min(rounds), max(rounds)
    tip = f"{name}: {middle:,.2f}; {len(rounds)} rounds from {least:,.2f} to {most:,.2f}"
    return [
        text(NAMES - 8, y + ROW * 0.62, name, anchor="end"),
        rect(NAMES, y + 4, middle * unit, ROW - 8, css, tip),
        line(NAMES + least * unit, y + ROW / 2, NAMES + most * unit, y + ROW / 2, "a"),
        text(NAMES + most * unit + 5, y + ROW * 0.62, short(round(middle, 0 if middle >= 100 else 2)), css="s"),
    ]


def _bars(content: Content) -> list[Bars]:
    """Those of one unit together."""
    if "rates" in content:
        order = ["path", *(name for name in content["rates"] if name != "path")]
        named = [(f"Remit, {content['unit']}/s" if name == "path" else name, content["rounds"][name]) for name in order]
        colours = ["paid", *["pale"] * len(named)]
        return [[(name, [n / s for n, s in rounds], css) for (name, rounds), css in zip(named, colours, strict=False)]]
    units: dict[str, Bars] = {}
    for one in content["figures"]:
        units.setdefault(one["unit"], []).append((f"{one['what']}, {one['unit']}", one["rounds"], "paid"))
    return list(units.values())


def _goal(content: Content, row: Content) -> str:
    of = "" if "rates" in content else f"{row['what']}: "
    beside = f" of {row['beside']}" if row["beside"] else ""
    words = f"at {'most' if row['most'] else 'least'} {shown(row['goal'], row['unit'])}"
    return f"{of}{shown(row['reached'], row['unit'])}{beside}; goal {words}: {'met' if row['met'] else 'missed'}"
