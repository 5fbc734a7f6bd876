"""Where commands write: results to standard output, complaints to standard error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(line: str = "") -> None:
    """One line of plain text; what looks like markup in it is shown as it is."""
    out.print(escape(line))


def complain(line: str) -> None:
    err.print(escape(line))


def table(*columns: str, title: str | None = None, right: Sequence[str] = ()) -> Table:
    """An empty table; the columns named in `right` are aligned to the right."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", header_style="bold", overflow="fold")
    return made


def row(made: Table, *cells: Any) -> None:
    """Adds a row of plain texts; None is shown as nothing."""
    made.add_row(*("" if cell is None else escape(str(cell)) for cell in cells))


def show(made: Table) -> None:
    out.print(made)
