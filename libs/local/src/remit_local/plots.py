"""A page of plots: one HTML file, self-contained, readable in light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 620, 340
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 16, 34

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #667085; --grid: #e4e7ec; --card: #fff; --page: #f5f6f8;
  --upcoming: #5aa9a3; --due: #e3b23c; --overdue: #d9822b; --demand: #b3423f; --paid: #2f7d5d; --late: #d9822b;
  --pale: #b9d8ca; --open: #3866b0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --grid: #2d3542; --card: #171c24;
  --page: #0f1319; --pale: #2c4f40; --open: #7aa2e3; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 28px; background: var(--page); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
header { max-width: 1320px; margin: 0 auto 20px; }
h1 { font-size: 22px; margin: 0 0 4px; }
h2 { font-size: 15px; margin: 0; }
p { margin: 2px 0 8px; color: var(--soft); font-size: 13px; }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 18px;
  max-width: 1320px; margin: 0 auto; }
section { background: var(--card); border: 1px solid var(--grid); border-radius: 10px; padding: 16px 18px; }
dl { display: flex; flex-wrap: wrap; gap: 8px 32px; margin: 12px 0 0; }
dt { color: var(--soft); font-size: 12px; } dd { margin: 0; font-size: 19px; font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; display: block; }
.t { font-size: 12px; fill: var(--ink); } .s { font-size: 11px; fill: var(--soft); }
.g { stroke: var(--grid); stroke-width: 1; } .a { stroke: var(--soft); stroke-width: 1; }
.d { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 3; }
.upcoming { fill: var(--upcoming); } .due { fill: var(--due); } .overdue { fill: var(--overdue); }
.demand { fill: var(--demand); } .paid { fill: var(--paid); } .late { fill: var(--late); } .pale { fill: var(--pale); }
.open.stroke { fill: none; stroke: var(--open); stroke-width: 1.6; } .open.fill { fill: var(--open); opacity: .16; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; color: var(--soft); font-size: 13px; margin: -4px 0 8px; }
.key { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 5px; }
"""


def page(title: str, headline: str, plots: Sequence[str]) -> str:
    """The page; `headline` is HTML below the title. It loads nothing."""
    body = "".join(f"<section>{one}</section>" for one in plots)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><header><h1>{escape(title)}</h1>{headline}</header><main>{body}</main></body></html>\n"
    )


def plot(
    title: str, note: str, shapes: Sequence[str], height: float = HEIGHT, keys: Mapping[str, str] | None = None
) -> str:
    """A title, a line below it (HTML) and the shapes; `keys`: the legend, what each colour means."""
    label = escape(title, quote=True)
    legend = "".join(_key(css, name) for css, name in (keys or {}).items())
    note = f"<p>{note}</p>" + (f'<div class="legend">{legend}</div>' if legend else "")
    return (
        f'<h2>{escape(title)}</h2>{note}<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{label}">{"".join(shapes)}</svg>'
    )


def _key(css: str, name: str) -> str:
    square = f'<span class="key" style="background: var(--{css})"></span>'
    return f"<span>{square}{escape(name)}</span>"
