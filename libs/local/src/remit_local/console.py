"""Where commands write: results to standard output, complaints to standard error."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

# Where output goes to a file there is no width to respect; tables then get enough to be read.
PLAIN_WIDTH = 140
CUT_WIDTH = 64
_width = None if os.environ.get("COLUMNS") or sys.stdout.isatty() else PLAIN_WIDTH

out = Console(highlight=False, soft_wrap=True, width=_width)
err = Console(stderr=True, highlight=False, soft_wrap=True, width=_width)


# What a terminal would act on, and what reorders the names and sums after it.
_ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """As it is to be shown: what looks like markup stays text, what a terminal would act on is left out."""
    return escape(_ACTS.sub("", text))


def say(line: str = "") -> None:
    """One line of plain text."""
    out.print(plain(line))


def complain(line: str) -> None:
    err.print(plain(line))


def table(*columns: str, title: str | None = None, right: Sequence[str] = (), cut: Sequence[str] = ()) -> Table:
    """An empty table; columns in `right` are aligned to the right, those in `cut` stay on one line."""
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        show_header=any(columns),
    )
    for column in columns:
        one_line = column in cut
        made.add_column(
            column,
            justify="right" if column in right else "left",
            header_style="bold",
            overflow="ellipsis" if one_line else "fold",
            no_wrap=one_line,
            max_width=CUT_WIDTH if one_line else None,
        )
    return made


def row(made: Table, *cells: Any) -> None:
    """Adds a row of plain texts; None is shown as nothing."""
    made.add_row(*("" if cell is None else plain(str(cell)) for cell in cells))


def progress(*columns: ProgressColumn) -> Progress:
    """A bar on standard error with what is being done, `columns` and the time; silent where nobody is looking."""
    shown = TextColumn("{task.description}"), BarColumn(), *columns, TimeElapsedColumn()
    return Progress(*shown, console=err, transient=True, disable=not err.is_terminal)


def show(made: Table) -> None:
    out.print(made)


def quiet_logs() -> None:
    """Only what went wrong, and not between the lines of the progress bar."""
    import structlog  # commands that only ask do without it

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
