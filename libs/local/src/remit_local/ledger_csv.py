"""Reading a ledger export as it comes: encodings, separators, foreign column names; every bad row named."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from remit_local.cells import date_pattern
from remit_local.errors import RefusedError
from remit_local.ledger import COLUMNS, OF_CUSTOMER, REQUIRED, Ledger, RowProblem
from remit_local.ledger_row import RowReader, may_be_number

DELIMITERS = (",", ";", "\t", "|")
REASON = "reason"  # the column a .rejected.csv has besides the original ones; ignored when it comes back
FORMULA = ("=", "+", "-", "@", "\t", "\r")
Record = tuple[int, list[str], str]


class UnusableFileError(RefusedError):
    """The file as a whole cannot be read; the message names it and the way out."""


@dataclass(frozen=True)
class ReadOptions:
    """How to read: `mapping` is their column name to ours; `date_format` like DD.MM.YYYY or %d.%m.%Y."""

    mapping: dict[str, str] = field(default_factory=dict)
    ignore_unknown: bool = False
    date_format: str | None = None
    decimal_comma: bool = False


def read_ledger(path: Path, options: ReadOptions = ReadOptions()) -> Ledger:
    """The file's rows and problems; raises UnusableFileError when its form cannot be read at all."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UnusableFileError(f"{path} cannot be read: {error.strerror}") from None
    notices: list[str] = []
    text, first_line = _skip_sep_line(_decode(path, raw, notices))
    delimiter = _delimiter(text, options)
    records = _records(path, text, delimiter, first_line)
    header = next(records, None)
    if header is None or header[2]:
        raise UnusableFileError(f"{path} has no header line")
    columns = _columns(path, header[1], options, notices)
    ledger = Ledger(path, header[1], delimiter, partial=normal(header[1][-1]) == REASON, notices=notices)
    _read_rows(ledger, records, columns, options)
    if not ledger.originals:
        raise UnusableFileError(f"{path} has a header but no rows")
    return ledger


def rejected_path(ledger: Ledger, folder: Path) -> Path:
    """Where FILE.rejected.csv lies."""
    return folder / f"{ledger.path.stem}.rejected.csv"


def write_rejected(ledger: Ledger, folder: Path) -> Path:
    """Writes FILE.rejected.csv: the original columns and the reasons; cells a spreadsheet would run are escaped."""
    path = rejected_path(ledger, folder)
    reasons: dict[int, list[str]] = {}
    for problem in ledger.problems:
        reasons.setdefault(problem.line, []).append(str(problem))
    kept = [i for i, name in enumerate(ledger.header) if normal(name) != REASON]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=ledger.delimiter)
        writer.writerow([*(escape(ledger.header[i]) for i in kept), REASON])
        for line in sorted(reasons):
            cells = ledger.originals[line]
            row = [cells[i] if i < len(cells) else "" for i in kept] + cells[len(ledger.header) :]
            writer.writerow([*(escape(cell) for cell in row), escape("; ".join(reasons[line]))])
    return path


def escape(cell: str) -> str:
    """A cell that a spreadsheet shows instead of running (OWASP: CSV injection)."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def unescape(cell: str) -> str:
    """Takes back what escape() added, so that a mended .rejected.csv can be imported."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA) else cell


def normal(name: str) -> str:
    """A column name without case, and with spaces and hyphens as underscores."""
    return "_".join(name.strip().casefold().replace("-", " ").replace("_", " ").split())


def _decode(path: Path, raw: bytes, notices: list[str]) -> str:
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = raw.decode("cp1252")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise UnusableFileError(f"{path} line {line} is neither UTF-8 nor Windows-1252: save it as UTF-8") from None
        notices.append("The file is not UTF-8; it was read as Windows-1252.")
    if "\0" in text:
        raise UnusableFileError(f"{path} is not a text file: save it as CSV in UTF-8")
    if not text.strip():
        raise UnusableFileError(f"{path} is empty")
    return text


def _skip_sep_line(text: str) -> tuple[str, int]:
    """The text after Excel's own `sep=;` line, and the number its first line has."""
    first, newline, rest = text.partition("\n")
    return (rest, 2) if newline and first.strip().lower().startswith("sep=") else (text, 1)


def _delimiter(text: str, options: ReadOptions) -> str:
    """The separator under which the header shows the most columns known to us."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    known = set(COLUMNS) | {normal(theirs) for theirs in options.mapping}

    def recognised(delimiter: str) -> int:
        try:
            cells = next(csv.reader([header], delimiter=delimiter), [])
        except csv.Error:
            return 0
        return sum(normal(cell) in known for cell in cells)

    return max(DELIMITERS, key=recognised)


def _records(path: Path, text: str, delimiter: str, first_line: int) -> Iterator[Record]:
    """(line, cells, what is wrong with them as a record) of every record that is not blank."""
    lines = list(io.StringIO(text, newline=""))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        begin = reader.line_num
        line = begin + first_line
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "end of data" in str(error):
                raise UnusableFileError(f"{path} line {line}: a quote is opened there and never closed") from None
            torn = "".join(lines[begin : reader.line_num]).split(delimiter)
            yield line, [cell.strip().strip('"') for cell in torn], f"is no valid CSV: {error}"
            continue
        if any(cell.strip() for cell in cells):
            yield line, [unescape(cell.strip()) for cell in cells], ""


def _columns(path: Path, header: Sequence[str], options: ReadOptions, notices: list[str]) -> dict[int, str]:
    """Which position holds which of our columns; raises UnusableFileError for unknown, missing or doubled ones."""
    mapping = _mapping(path, header, options)
    columns: dict[int, str] = {}
    unknown: list[str] = []
    for index, name in enumerate(header):
        ours = mapping.get(normal(name), normal(name))
        if ours in columns.values():
            raise UnusableFileError(f"{path} has two columns for {ours}: rename one, or give --map")
        if ours in COLUMNS:
            columns[index] = ours
        elif ours not in ("", REASON):
            unknown.append(name)
    if unknown and not options.ignore_unknown:
        names = ", ".join(unknown)
        raise UnusableFileError(f"{path} has unknown columns: {names}. Give --map theirs=ours, or --ignore-unknown")
    missing = [name for name in REQUIRED if name not in columns.values()]
    if missing:
        raise UnusableFileError(
            f"{path} lacks the columns {', '.join(missing)}. Give --map theirs=ours where they have other names"
        )
    if unknown:
        notices.append(f"Columns ignored: {', '.join(unknown)}.")
    absent = [name for name in OF_CUSTOMER if name not in columns.values()]
    if absent:
        individuals = " New customers count as individuals." if "profile" in absent else ""
        notices.append(f"Columns not in the file, left empty: {', '.join(absent)}.{individuals}")
    return columns


def _mapping(path: Path, header: Sequence[str], options: ReadOptions) -> dict[str, str]:
    there = {normal(name) for name in header}
    mapping: dict[str, str] = {}
    for theirs, ours in options.mapping.items():
        if ours not in COLUMNS:
            raise UnusableFileError(f"--map {theirs}={ours}: {ours} is none of {', '.join(COLUMNS)}")
        if normal(theirs) not in there:
            raise UnusableFileError(f"--map {theirs}={ours}: {path} has no column {theirs}; it has {', '.join(header)}")
        mapping[normal(theirs)] = ours
    return mapping


def _read_rows(ledger: Ledger, records: Iterator[Record], columns: dict[int, str], options: ReadOptions) -> None:
    try:
        pattern = date_pattern(options.date_format) if options.date_format else None
    except ValueError as error:
        raise UnusableFileError(f"--date-format: {error}") from None
    reader = RowReader(pattern, options.decimal_comma)
    for line, cells, torn in records:
        ledger.originals[line] = cells
        miscounted = len(cells) < len(ledger.header) or any(cells[len(ledger.header) :])
        fault = torn or (f"has {len(cells)} cells where the header has {len(ledger.header)}" if miscounted else "")
        if fault:
            ledger.problems.append(RowProblem(line, "row", "", fault))
            # Which of its cells is the invoice's number cannot be told; an invoice that stands in it is not gone.
            ledger.numbers.update(filter(may_be_number, cells))
            continue
        named = {name: cells[index] for index, name in columns.items()}
        ledger.numbers.update(filter(may_be_number, [named["invoice_number"]]))
        row, problems = reader.read(line, named)
        ledger.problems.extend(problems)
        if row:
            ledger.rows.append(row)
    undated = sum(row.open_minor == 0 and row.paid_date is None for row in ledger.rows)
    if undated:
        ledger.notices.append(
            f"Rows with open_amount 0 and no paid_date: {undated}. They count as paid on the day Remit first sees it."
        )
