"""Real exports: separators, encodings, foreign names, rejected rows that come back; nothing guessed."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remit_local.ledger import COLUMNS, Ledger
from remit_local.ledger_csv import (
    ReadOptions,
    UnusableFileError,
    escape,
    read_ledger,
    unescape,
    write_rejected,
)

HEADER = "customer_id,customer_name,country,invoice_number,issue_date,due_date,amount,currency"
ROW = "C1,Acme,DE,R1,2026-01-05,2026-02-04,97.6,EUR"


def write(folder: Path, content: str | bytes, name: str = "ledger.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def reasons(ledger: Ledger) -> list[tuple[int, str, str]]:
    return [(p.line, p.field, p.reason) for p in ledger.problems]


def test_the_least_a_row_may_say(tmp_path: Path) -> None:
    ledger = read_ledger(write(tmp_path, f"{HEADER}\n{ROW}\n"))
    (row,) = ledger.rows
    assert (row.customer_id, row.invoice_number, row.amount_minor, row.currency) == ("C1", "R1", 9760, "EUR")
    assert (row.issue_date, row.due_date, row.line) == (date(2026, 1, 5), date(2026, 2, 4), 2)
    assert (row.profile, row.email, row.disputed, row.open_minor, row.sms_consent) == (None, None, None, None, None)
    assert ledger.problems == []
    assert ledger.notices == [
        "Columns not in the file, left empty: email, phone, address, profile, timezone, language, sms_consent. "
        "New customers count as individuals."
    ]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    header, more = "email,profile,address", ",business,"
    ledger = read_ledger(write(tmp_path, f"{HEADER},{header}\n{ROW},{more}\n"))
    assert ledger.notices == ["Columns not in the file, left empty: phone, timezone, language, sms_consent."]


def test_every_column(tmp_path: Path) -> None:
    cells = {
        "customer_id": "C1",
        "customer_name": "Müller & Söhne",
        "country": "de",
        "invoice_number": "R1",
        "issue_date": "2026-01-05",
        "due_date": "",
        "amount": "1,234.50",
        "currency": "eur",
        "email": "ap@example.com",
        "phone": "+49 1512 3456789",
        "profile": "Business",
        "timezone": "Europe/Berlin",
        "language": "de",
        "disputed": "ja",
        "paid_date": "",
        "open_amount": "200",
        "sms_consent": "true",
        "address": "Hauptstr. 1\n10115 Berlin",
    }
    buffer = io.StringIO()
    csv.writer(buffer).writerows([COLUMNS, [cells[name] for name in COLUMNS]])
    (row,) = read_ledger(write(tmp_path, buffer.getvalue())).rows
    assert (row.country, row.currency, row.profile, row.phone) == ("DE", "EUR", "business", "+4915123456789")
    assert (row.due_date, row.disputed, row.open_minor, row.sms_consent) == (None, True, 20000, True)
    assert row.address == "Hauptstr. 1\n10115 Berlin"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_separators_and_encodings(tmp_path: Path, delimiter: str, encoding: str, newline: str) -> None:
    text = f"{HEADER}{newline}{ROW.replace('Acme', 'Ærø')}{newline}".replace(",", delimiter)
    (row,) = read_ledger(write(tmp_path, text.encode(encoding))).rows
    assert row.customer_name == "Ærø"


def test_windows_1252_is_read_with_a_notice(tmp_path: Path) -> None:
    ledger = read_ledger(write(tmp_path, f"{HEADER}\n{ROW.replace('Acme', 'Café €')}\n".encode("cp1252")))
    assert ledger.rows[0].customer_name == "Café €"
    assert any("Windows-1252" in notice for notice in ledger.notices)


def test_excels_separator_line_and_blank_lines(tmp_path: Path) -> None:
    text = f"sep=;\r\n{HEADER}\r\n\r\n{ROW}\r\n;;;;;;;\r\n".replace(",", ";")
    (row,) = read_ledger(write(tmp_path, text)).rows
    assert row.line == 4


def test_header_names_are_taken_with_spaces_and_case_and_mapped(tmp_path: Path) -> None:
    header = "Kundennummer,Customer Name,COUNTRY,Invoice-Number,Issue Date,due_date,Betrag,currency,Notes"
    path = write(tmp_path, f"{header}\n{ROW},hello\n")
    mapping = {"Kundennummer": "customer_id", "betrag": "amount"}
    with pytest.raises(UnusableFileError, match="unknown columns: Notes"):
        read_ledger(path, ReadOptions(mapping=mapping))
    ledger = read_ledger(path, ReadOptions(mapping=mapping, ignore_unknown=True))
    assert ledger.rows[0].customer_id == "C1"
    assert "Columns ignored: Notes." in ledger.notices


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", ReadOptions(), "is empty"),
        ("\n\n", ReadOptions(), "is empty"),
        (f"{HEADER}\n", ReadOptions(), "no rows"),
        (f"{HEADER},customer_id\n{ROW},C1\n", ReadOptions(), "two columns for customer_id"),
        (f"{HEADER}\n{ROW}\n".replace("currency", "geld"), ReadOptions(), "unknown columns: geld"),
        (f"{HEADER}\n{ROW}\n".replace(",currency", ""), ReadOptions(), "lacks the columns currency"),
        (f"{HEADER}\n{ROW}\n", ReadOptions(mapping={"nr": "invoice_number"}), "has no column nr"),
        (f"{HEADER}\n{ROW}\n", ReadOptions(mapping={"amount": "betrag"}), "betrag is none of"),
        (f"{HEADER}\n{ROW}\n", ReadOptions(date_format="DD"), "--date-format"),
        (f'{HEADER}\n{ROW}\n"C2,Acme\n', ReadOptions(), "line 3: a quote is opened"),
        (b"customer_id\x81\xff", ReadOptions(), "neither UTF-8 nor Windows-1252"),
        (b"PK\x03\x04\x00\x00", ReadOptions(), "not a text file"),
    ],
)
def test_unusable_files(tmp_path: Path, content: str | bytes, options: ReadOptions, message: str) -> None:
    with pytest.raises(UnusableFileError, match=message):
        read_ledger(write(tmp_path, content), options)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnusableFileError, match="cannot be read"):
        read_ledger(tmp_path / "nothing.csv")


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("customer_id", "", "must not be empty"),
        ("customer_name", "x" * 300, "at most 200"),
        ("country", "XX", "no ISO 3166"),
        ("country", "", "must not be empty"),
        ("issue_date", "05/01/2026", "--date-format"),
        ("issue_date", "2026-02-30", "no day"),
        ("due_date", "2025-12-31", "before the issue date"),
        ("paid_date", "2025-12-31", "before the issue date"),
        ("amount", "0", "more than zero"),
        ("amount", "-1", "negative"),
        ("amount", "10.001", "more decimals"),
        ("currency", "EURO", "no ISO 4217"),
        ("email", "nobody", "no e-mail"),
        ("phone", "12", "no phone number"),
        ("timezone", "Mars/Olympus", "no IANA"),
        ("language", "deutsch!", "no language tag"),
        ("profile", "vip", "is none of"),
        ("disputed", "perhaps", "neither yes nor no"),
        ("open_amount", "100", "more than the amount"),
        ("customer_name", "A\x07B", "control character"),
    ],
)
def test_bad_cells_name_line_field_value_and_reason(tmp_path: Path, column: str, value: str, reason: str) -> None:
    good = dict(zip(HEADER.split(","), ROW.split(","), strict=True))
    bad = good | {"invoice_number": "R2", column: value}
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(dict.fromkeys([*good, column])), restval="")
    writer.writeheader()
    writer.writerows([good, bad])
    ledger = read_ledger(write(tmp_path, buffer.getvalue()))
    assert [row.invoice_number for row in ledger.rows] == ["R1"]
    (problem,) = ledger.problems
    assert (problem.line, problem.field, problem.value) == (3, column, value)
    assert reason in problem.reason
    assert str(problem).startswith(f"line 3: {column}")


def test_all_problems_of_a_row_are_listed(tmp_path: Path) -> None:
    ledger = read_ledger(write(tmp_path, f"{HEADER}\n,Acme,XX,R1,tomorrow,,5,EUR\n"))
    assert {p.field for p in ledger.problems} == {"country", "customer_id", "issue_date"}


def test_short_long_and_broken_records_do_not_stop_the_others(tmp_path: Path) -> None:
    other = ROW.replace("R1", "R3").replace("Acme", "Acme, Inc.")
    text = f'{HEADER}\nC1,Acme\n{other}\n"C3"x,Acme,DE,"R4"\n{ROW},\n'
    ledger = read_ledger(write(tmp_path, text))
    assert [row.line for row in ledger.rows] == [5]
    assert [(p.line, p.field) for p in ledger.problems] == [(2, "row"), (3, "row"), (4, "row")]
    assert "has 2 cells where the header has 8" in ledger.problems[0].reason
    assert ledger.numbers >= {"R1", "R3", "R4"}, "what stands in a broken record is not gone"
    assert ledger.originals[4][1:] == ["Acme", "DE", "R4"]


def test_nothing_that_cannot_be_a_number_is_noted_as_one(tmp_path: Path) -> None:
    rows = [ROW.replace("R1", ""), ROW.replace("R1", "x" * 101), "C1,Acme,,", ROW.replace("DE", "XX")]
    ledger = read_ledger(write(tmp_path, "\n".join([HEADER, *rows])))
    assert ledger.rows == []
    assert ledger.numbers == {"C1", "Acme", "R1"}


def test_blank_flags_say_nothing(tmp_path: Path) -> None:
    text = f"{HEADER},disputed,sms_consent\n{ROW},,\n{ROW.replace('R1', 'R2')},no,no\n"
    rows = read_ledger(write(tmp_path, text)).rows
    assert [(row.disputed, row.sms_consent) for row in rows] == [(None, None), (False, False)]


def test_open_amount_0_without_a_day_is_taken_and_said(tmp_path: Path) -> None:
    ledger = read_ledger(write(tmp_path, f"{HEADER},open_amount\n{ROW},0\n{ROW.replace('R1', 'R2')},5\n"))
    assert [row.open_minor for row in ledger.rows] == [0, 500]
    assert "Rows with open_amount 0 and no paid_date: 1." in ledger.notices[-1]


def test_a_second_row_with_the_same_number_is_refused(tmp_path: Path) -> None:
    ledger = read_ledger(write(tmp_path, f"{HEADER}\n{ROW}\n{ROW}\n"))
    assert len(ledger.rows) == 1
    assert reasons(ledger) == [(3, "invoice_number", "is on line 2 already")]


def test_lines_are_counted_through_quoted_line_breaks(tmp_path: Path) -> None:
    text = (
        f'{HEADER},address\n{ROW},"1 High St\nTown"\n{ROW.replace("R1", "R2")},"x\n\ny"\n{ROW.replace("R1", "R3")},\n'
    )
    assert [row.line for row in read_ledger(write(tmp_path, text)).rows] == [2, 4, 7]


def test_rejected_rows_come_back_when_mended(tmp_path: Path) -> None:
    text = f"{HEADER},phone\n{ROW},+49 1512 3456789\nC2,=cmd(),DE,-R2,tomorrow,,5,EUR,+49 1512 3456789\n".replace(
        ",", ";"
    )
    ledger = read_ledger(write(tmp_path, text))
    path = write_rejected(ledger, tmp_path)
    assert path.name == "ledger.rejected.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, bad = csv.reader(file, delimiter=";")
    assert header == [*HEADER.split(","), "phone", "reason"]
    assert bad[:4] == ["C2", "'=cmd()", "DE", "'-R2"]
    assert bad[-2] == "'+49 1512 3456789"
    assert bad[-1].startswith("line 3: issue_date 'tomorrow': is not an ISO date")
    mended = write(tmp_path, path.read_bytes().replace(b"tomorrow;", b"2026-01-05;"), "mended.csv")
    (row,) = read_ledger(mended).rows
    assert (row.customer_name, row.invoice_number, row.phone) == ("=cmd()", "-R2", "+4915123456789")


@given(st.text(max_size=20))
def test_escaping_is_undone_and_leaves_no_formula(cell: str) -> None:
    assert unescape(escape(cell)) == cell or cell.startswith("'")
    assert not escape(cell).startswith(("=", "+", "-", "@", "\t", "\r"))


names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(names, st.integers(1, 10**9), st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.booleans()),
        min_size=1,
        max_size=8,
        unique_by=lambda item: item[0],
    ),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_is_written_is_read(
    tmp_path: Path, invoices: list[tuple[str, int, date, bool]], delimiter: str, encoding: str
) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerow([*HEADER.split(","), "disputed"])
    for number, minor, day, disputed in invoices:
        amount = f"{minor // 100}.{minor % 100:02}"
        cells = [
            "C1",
            f"Name {number}",
            "GB",
            f"N{number}",
            day.isoformat(),
            "",
            amount,
            "GBP",
            "yes" if disputed else "no",
        ]
        writer.writerow(cells)
    ledger = read_ledger(write(tmp_path, buffer.getvalue().encode(encoding)))
    assert ledger.problems == []
    got = [(row.invoice_number[1:], row.amount_minor, row.issue_date, row.disputed) for row in ledger.rows]
    assert got == invoices
