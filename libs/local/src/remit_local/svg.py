"""A few shapes for drawing plots as inline SVG: no script, no font or style from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10

STEPS = (1, 2, 2.5, 5, 10)


def text(x: float, y: float, content: str, *, anchor: str = "start", css: str = "t") -> str:
    """A label; `anchor` is start, middle or end."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{css}">{escape(content)}</text>'


def rect(x: float, y: float, width: float, height: float, css: str, tip: str = "") -> str:
    """A bar with an optional tooltip."""
    title = f"<title>{escape(tip)}</title>" if tip else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" rx="2" '
        f'class="{css}">{title}</rect>'
    )


def line(x1: float, y1: float, x2: float, y2: float, css: str = "g") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def area(points: Sequence[tuple[float, float]], base: float, css: str) -> str:
    """A filled curve over `base` with its outline."""
    if not points:
        return ""
    path = " ".join(f"L{x:.1f},{y:.1f}" for x, y in points).replace("L", "M", 1)
    first, last = points[0][0], points[-1][0]
    return (
        f'<path d="{path} L{last:.1f},{base:.1f} L{first:.1f},{base:.1f} Z" class="{css} fill"/>'
        f'<path d="{path}" class="{css} stroke"/>'
    )


def ticks(top: float, count: int = 4, *, whole: bool = False) -> list[float]:
    """Round values from 0 to at least `top`, about `count` of them; `whole` for what is counted."""
    if top <= 0:
        return [0.0, 1.0]
    rough = top / count
    scale = 10.0 ** floor(log10(rough))
    wide = (s * scale for s in STEPS if s * scale >= rough - 1e-12)
    step = next(width for width in wide if not whole or width.is_integer())
    return [n * step for n in range(ceil(top / step - 1e-9) + 1)]


def short(value: float) -> str:
    """1,234 as it is, 12,345 as 12k, 1,234,567 as 1.2M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            number = value / (1e3 if unit == "k" else size)
            return f"{number:.1f}".removesuffix(".0") + unit
    return f"{value:,.2f}".removesuffix("00").removesuffix(".")
