"""The chart of a simulation: one HTML file with four plots, self-contained, readable in light and dark."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from html import escape
from pathlib import Path

from remit_local.figures import FOLLOW_UP, Figures, StepFigures
from remit_local.plots import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, page, plot
from remit_local.svg import area, line, rect, short, text, ticks
from remit_service.money import exponent
from remit_service.wording import counted

NAMES = 130  # room for step names left of bars
MOST_CURRENCIES = 4


def write_chart(path: Path, figures: Figures, title: str) -> None:
    """Writes the chart as HTML; it loads nothing."""
    plots = [_messages(figures), _paid_after(figures), _days_to_pay(figures), _open(figures)]
    path.write_text(page(title, _headline(figures), plots), encoding="utf-8")


def _headline(figures: Figures) -> str:
    summary = figures.summary
    paid = f"{summary['paid'] / summary['invoices']:.1%}" if summary["invoices"] else "-"
    facts = {
        "invoices": f"{summary['invoices']:,}",
        "customers": f"{summary['customers']:,}",
        "messages sent": f"{summary['messages']:,}",
        "paid": paid,
        "mean days to pay": _number(summary["mean_days_to_pay"]),
        "mean days late": _number(summary["mean_days_late"]),
        "escalations": f"{sum(summary['escalations_by_rung'].values()):,}",
    }
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    return f"<p>{figures.first} to {figures.last}</p><dl>{cells}</dl>"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _row_height(steps: tuple[StepFigures, ...]) -> float:
    return min(46.0, (HEIGHT - TOP - BOTTOM) / max(len(steps), 1))


def _bars_height(steps: tuple[StepFigures, ...]) -> float:
    return TOP + len(steps) * _row_height(steps) + BOTTOM


def _messages(figures: Figures) -> str:
    there = {s.stage for s in figures.steps}
    keys = {stage: stage for stage in FOLLOW_UP if stage in there}
    scale = ticks(max((s.messages for s in figures.steps), default=0), whole=True)
    unit = (WIDTH - NAMES - RIGHT - 40) / scale[-1]
    height = _row_height(figures.steps)
    shapes = _grid(scale, unit, len(figures.steps) * height, short)
    for index, step in enumerate(figures.steps):
        y = TOP + index * height
        tip = f"{step.step}: {counted(step.messages, 'message')} about {counted(step.invoices, 'invoice')}"
        shapes.append(text(NAMES - 8, y + height * 0.62, step.step, anchor="end"))
        shapes.append(rect(NAMES, y + 3, step.messages * unit, height - 6, step.stage, tip))
        shapes.append(text(NAMES + step.messages * unit + 5, y + height * 0.62, f"{step.messages:,}", css="s"))
    note = "Follow-up messages that left, on all channels."
    return plot("Messages per step", note, shapes, _bars_height(figures.steps), keys)


def _paid_after(figures: Figures) -> str:
    note = "Of the invoices a step named, the share paid afterwards."
    keys = {"paid": "before any other step", "pale": "after later steps"}
    width = WIDTH - NAMES - RIGHT - 40
    height = _row_height(figures.steps)
    shapes = _grid([0, 0.25, 0.5, 0.75, 1.0], width, len(figures.steps) * height, lambda share: f"{share:.0%}")
    for index, step in enumerate(figures.steps):
        y, named = TOP + index * height, max(step.invoices, 1)
        first, later = step.paid_next / named, step.paid_later / named
        tip = f"{step.step}: {first:.1%} of {step.invoices} paid before another step, {later:.1%} after later ones"
        shapes.append(text(NAMES - 8, y + height * 0.62, step.step, anchor="end"))
        shapes.append(rect(NAMES, y + 3, first * width, height - 6, "paid", tip))
        shapes.append(rect(NAMES + first * width, y + 3, later * width, height - 6, "pale", tip))
        share = first + later
        shapes.append(text(NAMES + share * width + 5, y + height * 0.62, f"{share:.0%}", css="s"))
    return plot("Share paid after each step", note, shapes, _bars_height(figures.steps), keys)


def _grid(scale: list[float], unit: float, length: float, label: object) -> list[str]:
    shapes = []
    for value in scale:
        x = NAMES + value * unit
        shapes.append(line(x, TOP, x, TOP + length))
        shapes.append(text(x, TOP + length + 16, label(value) if callable(label) else "", anchor="middle", css="s"))
    return shapes


def _days_to_pay(figures: Figures) -> str:
    paid = [s for s in figures.settlements if s.days_to_pay is not None]
    longest = max((s.days_to_pay or 0 for s in paid), default=1)
    width = max(1, -(-(longest + 1) // 40))
    on_time, late = Counter[int](), Counter[int]()
    for s in paid:
        (late if (s.days_late or 0) > 0 else on_time)[(s.days_to_pay or 0) // width] += 1
    bins = longest // width + 1
    scale = ticks(max((on_time[b] + late[b] for b in range(bins)), default=1), whole=True)
    unit = (HEIGHT - TOP - BOTTOM) / scale[-1]
    step = (WIDTH - LEFT - RIGHT) / bins
    base = HEIGHT - BOTTOM
    shapes = []
    for value in scale:
        shapes += [line(LEFT, base - value * unit, WIDTH - RIGHT, base - value * unit)]
        shapes += [text(LEFT - 6, base - value * unit + 4, short(value), anchor="end", css="s")]
    for b in range(bins):
        x, low, high = LEFT + b * step, on_time[b] * unit, late[b] * unit
        days = f"{b * width}" if width == 1 else f"{b * width}-{b * width + width - 1}"
        tip = f"{days} days: {on_time[b]} on time, {late[b]} late"
        shapes.append(rect(x + 0.8, base - low, step - 1.6, low, "paid", tip))
        shapes.append(rect(x + 0.8, base - low - high, step - 1.6, high, "late", tip))
        if b % max(1, bins // 10) == 0:
            shapes.append(text(x + step / 2, base + 16, str(b * width), anchor="middle", css="s"))
    shapes.append(line(LEFT, base, WIDTH - RIGHT, base, "a"))
    note = "Invoices by days from issue to full payment."
    return plot("Days to pay", note, shapes, keys={"paid": "on time", "late": "late"})


def _open(figures: Figures) -> str:
    shown = list(figures.open_series.items())[:MOST_CURRENCIES]
    rest = list(figures.open_series)[MOST_CURRENCIES:]
    note = "Issued and not yet paid, at the end of each day; one scale per currency."
    if rest:
        note += f" Not drawn: {escape(', '.join(rest))}."
    height = (HEIGHT - TOP - BOTTOM) / max(len(shown), 1)
    shapes: list[str] = []
    for index, (currency, series) in enumerate(shown):
        shapes += _open_row(currency, series, TOP + index * height, height - 12)
    for day, x in _date_marks(figures.first, figures.last):
        shapes.append(line(x, TOP, x, HEIGHT - BOTTOM, "g"))
        shapes.append(text(x, HEIGHT - BOTTOM + 16, f"{day:%b %Y}", anchor="middle", css="s"))
    return plot("Amount open over time", note, shapes)


def _open_row(currency: str, series: list[int], top: float, height: float) -> list[str]:
    digits = 10 ** exponent(currency)
    scale = ticks(max(series, default=0) / digits, 2)
    base, unit = top + height, height / scale[-1]
    step = (WIDTH - LEFT - RIGHT) / max(len(series) - 1, 1)
    points = [(LEFT + n * step, base - max(value / digits, 0) * unit) for n, value in enumerate(series)]
    marks = [text(LEFT - 6, base - value * unit + 4, short(value), anchor="end", css="s") for value in scale[1:]]
    grid = [line(LEFT, base - value * unit, WIDTH - RIGHT, base - value * unit) for value in scale]
    return [*grid, *marks, area(points, base, "open"), text(LEFT + 6, top + 12, currency)]


def _date_marks(first: date, last: date) -> list[tuple[date, float]]:
    """About six firsts of a month with their place on the x axis."""
    days = max((last - first).days, 1)
    months = [d for n in range(days + 1) if (d := first + timedelta(days=n)).day == 1]
    chosen = months[:: max(1, -(-len(months) // 6))]
    return [(day, LEFT + (day - first).days / days * (WIDTH - LEFT - RIGHT)) for day in chosen]
