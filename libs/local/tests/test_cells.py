"""Dates, amounts and yes/no from exports: exact, and refused where they could mean two things."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit_local.cells import CellError, date_pattern, parse_amount, parse_date, parse_flag
from remit_service.money import LARGEST_MINOR, exponent

CURRENCIES = ("EUR", "USD", "JPY", "KWD")


@pytest.mark.parametrize("word", ["yes", "YES", "y", "True", "1", "ja", "oui", "x", " on "])
def test_yes(word: str) -> None:
    assert parse_flag(word) is True


@pytest.mark.parametrize("word", ["no", "No", "n", "FALSE", "0", "nein", "non", "off"])
def test_no(word: str) -> None:
    assert parse_flag(word) is False


@pytest.mark.parametrize("word", ["maybe", "2", "yesno", "?", ""])
def test_neither(word: str) -> None:
    with pytest.raises(CellError, match="neither yes nor no"):
        parse_flag(word)


@pytest.mark.parametrize("text", ["2026-04-03", "2026-04-03 00:00:00", "2026-04-03T00:00", "2026-04-03 00:00:00.000"])
def test_iso_dates_are_always_taken(text: str) -> None:
    assert parse_date(text) == date(2026, 4, 3)
    assert parse_date(text, "%d.%m.%Y") == date(2026, 4, 3)


@pytest.mark.parametrize("text", ["03/04/2026", "13/04/2026", "3.4.26", "03-04-2026"])
def test_day_and_month_without_a_format_are_refused(text: str) -> None:
    with pytest.raises(CellError, match="--date-format"):
        parse_date(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("03.04.2026", "could be read in two ways: give --date-format DD.MM.YYYY or MM.DD.YYYY"),
        ("3/4/26", "could be read in two ways: give --date-format DD/MM/YY or MM/DD/YY"),
        ("31.10.2026", "is not an ISO date .2026-04-03.: give --date-format DD.MM.YYYY, if"),
        ("10/31/2026", "is not an ISO date .2026-04-03.: give --date-format MM/DD/YYYY, if"),
        ("31.02.2026", "is no day of the calendar"),
        ("31.10-2026", "is not an ISO date"),
    ],
)
def test_two_ways_are_named_only_where_there_are_two(text: str, said: str) -> None:
    with pytest.raises(CellError, match=f"^{said}"):
        parse_date(text)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("DD/MM/YYYY", "03/04/2026"),
        ("MM/DD/YYYY", "04/03/2026"),
        ("dd.mm.yy", "3.4.26"),
        ("%d %b %Y", "03 Apr 2026"),
        ("D MMMM YYYY", "3 April 2026"),
        ("YYYYMMDD", "20260403"),
        ("%d.%m.%Y %H:%M", "03.04.2026 00:00"),
    ],
)
def test_a_given_format_is_followed(spec: str, text: str) -> None:
    assert parse_date(text, date_pattern(spec)) == date(2026, 4, 3)


def test_a_year_day_month_format_never_falls_back_to_iso() -> None:
    pattern = date_pattern("YYYY-DD-MM")
    assert parse_date("2026-03-04", pattern) == date(2026, 4, 3)
    with pytest.raises(CellError):
        parse_date("2026-03-14", pattern)


@pytest.mark.parametrize("spec", ["DD/MM", "", "words", "%Y", "MM/MM/YYYY"])
def test_a_format_without_day_month_and_year_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match="day, month and year"):
        date_pattern(spec)


@pytest.mark.parametrize("text", ["2026-02-30", "0026-04-03", "2026-04-03 14:30", "46000", "tomorrow", "2026/04/03"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(CellError):
        parse_date(text)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("97.6", "EUR", 9760),
        ("1234.56", "EUR", 123456),
        ("1,234.56", "EUR", 123456),
        ("1,234,567", "EUR", 123456700),
        ("12,34,567.00", "INR", 123456700),
        ("1 234.5", "EUR", 123450),
        ("1\u00a0234\u00a0567.89", "EUR", 123456789),
        ("1'234.50", "CHF", 123450),
        ("1000", "JPY", 1000),
        ("1000.00", "JPY", 1000),
        ("1.234", "KWD", 1234),
        ("0.01", "USD", 1),
    ],
)
def test_amounts(text: str, currency: str, minor: int) -> None:
    assert parse_amount(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "minor"), [("97,6", 9760), ("1.234,56", 123456), ("1.234", 123400), ("1 234,5", 123450), ("12", 1200)]
)
def test_amounts_with_a_decimal_comma(text: str, minor: int) -> None:
    assert parse_amount(text, "EUR", decimal_comma=True) == minor


@pytest.mark.parametrize(
    ("text", "currency", "reason"),
    [
        ("97,60", "EUR", "--decimal-comma"),
        ("1.234,56", "EUR", "--decimal-comma"),
        ("1,234", "EUR", "two ways"),
        ("10.005", "EUR", "more decimals than EUR has"),
        ("1000.50", "JPY", "more decimals than JPY has"),
        ("1.2345", "KWD", "more decimals than KWD has"),
        ("-5", "EUR", "negative"),
        ("(5.00)", "EUR", "negative"),
        ("5.00-", "EUR", "negative"),
        ("0", "EUR", "more than zero"),
        ("0.00", "EUR", "more than zero"),
        ("12,34.5", "EUR", "not an amount"),
        ("1 23", "EUR", "not an amount"),
        ("€5", "EUR", "not an amount"),
        ("1e3", "EUR", "not an amount"),
        ("5.", "EUR", "not an amount"),
        (".", "EUR", "not an amount"),
        ("٥", "EUR", "not an amount"),
        ("NaN", "EUR", "not an amount"),
        ("9" * 20, "EUR", "too large"),
    ],
)
def test_amounts_refused(text: str, currency: str, reason: str) -> None:
    with pytest.raises(CellError, match=reason):
        parse_amount(text, currency)


def test_a_decimal_point_with_decimal_comma_is_refused() -> None:
    with pytest.raises(CellError, match="decimal point"):
        parse_amount("97.6", "EUR", decimal_comma=True)


@given(st.integers(1, 10**14), st.sampled_from(CURRENCIES), st.booleans(), st.booleans())
def test_amounts_written_any_way_come_back(minor: int, currency: str, comma: bool, grouped: bool) -> None:
    digits = exponent(currency)
    written = (
        f"{Decimal(minor).scaleb(-digits):,.{max(digits, 2)}f}" if grouped else f"{Decimal(minor).scaleb(-digits):f}"
    )
    if comma:
        written = written.translate(str.maketrans(",.", ".,"))
    assert parse_amount(written, currency, decimal_comma=comma) == minor


@given(st.text(max_size=12), st.booleans())
def test_any_text_is_an_amount_or_refused(text: str, comma: bool) -> None:
    try:
        minor = parse_amount(text, "EUR", decimal_comma=comma)
    except CellError:
        return
    assert 0 < minor <= LARGEST_MINOR
    assert any(char.isdigit() for char in text)


@given(st.dates(date(1900, 1, 1), date(2199, 12, 31)), st.sampled_from(["DD.MM.YYYY", "MM/DD/YYYY", "YYYYMMDD"]))
def test_dates_written_in_a_format_come_back(day: date, spec: str) -> None:
    pattern = date_pattern(spec)
    assert parse_date(day.strftime(pattern), pattern) == day
