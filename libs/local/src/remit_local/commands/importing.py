"""`remit import`: a ledger file into the running services."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import MofNCompleteColumn

from remit_local.cli import app, given
from remit_local.client import Remit
from remit_local.console import complain, err, progress, row, say, show, table
from remit_local.errors import about_file
from remit_local.ledger import Ledger, RowProblem

if TYPE_CHECKING:
    from remit_local.importing import ImportReport
    from remit_local.ledger_csv import ReadOptions

SHOWN = 20
ALIKE_SHOWN = 3
NOTES_SHOWN = 6
SOME_REJECTED = 3

LedgerFile = Annotated[Path, typer.Argument(metavar="FILE.csv", help="The ledger, one invoice per row.")]
MapOption = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="THEIRS=OURS", help="Their name of a column and ours; repeat it for more."),
]
IgnoreOption = Annotated[bool, typer.Option("--ignore-unknown", help="Leave out columns Remit does not know.")]
DateOption = Annotated[
    str | None,
    typer.Option("--date-format", metavar="FORMAT", help="Of dates that are not ISO: DD.MM.YYYY or %d.%m.%Y."),
]
CommaOption = Annotated[bool, typer.Option("--decimal-comma", help="Amounts are written 1.234,56.")]


def read_options(mapping: list[str] | None, ignore_unknown: bool, date_format: str | None, comma: bool) -> ReadOptions:
    """Raises UnusableFileError when a --map is no pair."""
    from remit_local.ledger_csv import ReadOptions, UnusableFileError

    pairs: dict[str, str] = {}
    for pair in mapping or ():
        theirs, equals, ours = pair.partition("=")
        if not equals or not theirs.strip() or not ours.strip():
            raise UnusableFileError(f"--map {pair!r} is no pair: write it as --map theirs=ours")
        pairs[theirs.strip()] = ours.strip()
    return ReadOptions(pairs, ignore_unknown, date_format, comma)


@app.command("import")
def import_file(
    ctx: typer.Context,
    file: LedgerFile,
    mapping: MapOption = None,
    ignore_unknown: IgnoreOption = False,
    date_format: DateOption = None,
    decimal_comma: CommaOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen; change nothing.")] = False,
) -> None:
    """Import a ledger. Importing it again changes nothing; a later export records what was paid or disputed.

    Exit codes: 0 all rows in, 3 some rejected (see FILE.rejected.csv), 2 the file or the services are unusable.
    """
    from remit_local.ledger_csv import read_ledger

    ledger = read_ledger(file, read_options(mapping, ignore_unknown, date_format, decimal_comma))
    with Remit.of(given(ctx).folder) as remit:
        report = imported(remit, ledger, dry_run=dry_run)
    tell(ledger, report, dry_run=dry_run)
    if ledger.problems:
        raise typer.Exit(SOME_REJECTED)


def imported(remit: Remit, ledger: Ledger, *, dry_run: bool) -> ImportReport:
    """The import with its progress bar on standard error."""
    from remit_local.importing import import_ledger

    with progress(MofNCompleteColumn()) as shown:
        bar = shown.add_task(f"Importing {ledger.path.name}", total=len(ledger.rows))
        return import_ledger(remit, ledger, dry_run=dry_run, advance=lambda rows: shown.advance(bar, rows))


def tell(ledger: Ledger, report: ImportReport, *, dry_run: bool) -> None:
    """What became of the rows, what to look at, and where the rejected ones are."""
    from remit_local.explaining import review_needed

    tell_notices(ledger)
    counts = table("rows", "count", right=["count"], title="Would be" if dry_run else None)
    for status in ("created", "changed", "unchanged", "conflict", "rejected"):
        row(counts, status, report.rows[status])
    show(counts)
    for note in report.notes[:NOTES_SHOWN]:
        say(note)
    if len(report.notes) > NOTES_SHOWN:
        say(f"… and {len(report.notes) - NOTES_SHOWN} more such notes")
    if report.for_review:
        say(f"{review_needed(report.for_review)}: `remit review`")
    if report.conflicts:
        found = table("invoice", "field", "in Remit", "in the file", title="Differences; what Remit has stands")
        for one in report.conflicts[:SHOWN]:
            row(found, one.invoice_number, one.field, one.ours, one.theirs)
        show(found)
        _and_more(len(report.conflicts))
    if report.gone:
        named = ", ".join(report.gone[:SHOWN])
        say(f"No longer in the file, left open: {named}{' …' if len(report.gone) > SHOWN else ''}")
    tell_problems(ledger, None if dry_run else ledger.path.parent)


def tell_notices(ledger: Ledger) -> None:
    for notice in ledger.notices:
        complain(notice)


def tell_problems(ledger: Ledger, folder: Path | None) -> None:
    """Lists what was rejected and writes it to FILE.rejected.csv in `folder`; without any, an older one is removed."""
    if ledger.problems:
        bad = table("line", "field", "value", "reason", right=["line"], title="Rejected")
        lines = _summed_up(ledger.problems)
        for line in lines[:SHOWN]:
            row(bad, *line)
        err.print(bad)
        _and_more(len(lines))
    if folder is not None:
        _keep_rejected(ledger, folder)


def _summed_up(problems: Iterable[RowProblem]) -> list[tuple[str, str, str, str]]:
    """Line, field, value and reason of each; where many have the same reason, one line for all of them."""
    alike: dict[str, list[RowProblem]] = {}
    for one in sorted(problems, key=lambda p: p.line):
        alike.setdefault(one.reason, []).append(one)
    lines = list[tuple[int, tuple[str, str, str, str]]]()
    for reason, same in alike.items():
        first = same[0]
        if len(same) > ALIKE_SHOWN:
            fields = ", ".join(dict.fromkeys(one.field for one in same))
            counted = f"{reason} (so in {len({one.line for one in same})} rows)"
            lines.append((first.line, (f"{first.line} …", fields, f"{first.value[:60]} …", counted)))
        else:
            lines += [(one.line, (str(one.line), one.field, one.value[:60], reason)) for one in same]
    return [line for _, line in sorted(lines, key=lambda one: one[0])]


def _keep_rejected(ledger: Ledger, folder: Path) -> None:
    from remit_local.ledger_csv import rejected_path, write_rejected

    old = rejected_path(ledger, folder)
    try:
        if ledger.problems:
            complain(f"Rejected rows with their reasons: {write_rejected(ledger, folder)}")
        elif old.exists():
            old.unlink()
            complain(f"Nothing is rejected any more: {old} was removed")
    except OSError as error:  # what was taken is in already
        complain(f"{old.name} is not kept: {about_file(error)}")


def _and_more(count: int) -> None:
    if count > SHOWN:
        complain(f"… and {count - SHOWN} more")
