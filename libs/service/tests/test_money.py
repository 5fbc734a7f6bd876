"""Amounts: exact, by the currency's decimals, refused when they cannot be."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit_service.money import LARGEST_MINOR, currencies, exponent, from_minor, parse_amount, to_minor


@pytest.mark.parametrize(
    ("currency", "decimals"),
    [("EUR", 2), ("JPY", 0),
      ("KWD", 3), ("BHD", 3), ("ISK", 0), ("HUF", 2), ("TND", 3), ("CLP", 0), ("XOF", 0), ("ZWG", 2)],
)  # fmt: skip
def test_decimals_by_iso_4217(currency, decimals):
    assert exponent(currency) == decimals


@pytest.mark.parametrize("code", ["eur", "XXX", "XAU", "BTC", "DEM", "", "EURO"])
def test_what_is_no_currency(code):
    with pytest.raises(ValueError, match="no ISO 4217 currency"):
        exponent(code)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("19.99", "EUR", 1999),
     ("19.9", "EUR", 1990), ("20.000", "EUR", 2000), ("1234", "JPY", 1234), ("1.234", "KWD", 1234)],
)  # fmt: skip
def test_minor_units_are_exact(amount, currency, minor):
    assert to_minor(Decimal(amount), currency) == minor


@pytest.mark.parametrize(
    ("amount", "currency"),
    [("19.999", "EUR"), ("0.5", "JPY"), ("1.2345", "KWD"), ("NaN", "EUR"), ("Infinity", "EUR"), ("1E+20", "EUR")],
)
def test_what_cannot_be_paid_is_refused(amount, currency):
    with pytest.raises(ValueError, match=r"more than the|no amount|too large"):
        to_minor(Decimal(amount), currency)


@settings(deadline=None)
@given(minor=st.integers(-LARGEST_MINOR, LARGEST_MINOR), currency=st.sampled_from(sorted(currencies())))
def test_there_and_back(minor, currency):
    assert to_minor(from_minor(minor, currency), currency) == minor


@pytest.mark.parametrize(
    ("text", "comma", "minor"),
    [
        ("1234.50", False, 123450),
        ("1,234.50", False, 123450),
        ("1 234.50", False, 123450),
        ("1\u202f234,50", True, 123450),
        ("1’234.50", False, 123450),
        ("1.234.567,8", True, 123456780),
        ("-5.00", False, -500),
        ("7", False, 700),
        ("1,234", True, None),
        ("12,50", False, None),
        ("1,2345.00", False, None),
        ("1,23,456.00", False, None),
        ("1.2.3", False, None),
        ("12.50 EUR", False, None),
        ("€12", False, None),
        ("", False, None),
        (".50", False, None),
        ("5.", False, None),
        ("--5", False, None),
        ("1e5", False, None),
        ("١٢٣", False, None),
        ("nan", False, None),
    ],
)
def test_written_amounts(text, comma, minor):
    if minor is None:
        with pytest.raises(ValueError, match=r"amount|decimals"):
            parse_amount(text, "EUR", decimal_comma=comma)
    else:
        assert parse_amount(text, "EUR", decimal_comma=comma) == minor


@settings(deadline=None)
@given(text=st.text(max_size=12))
def test_any_text_is_an_amount_or_a_value_error(text):
    try:
        minor = parse_amount(text, "EUR")
    except ValueError:
        return
    assert abs(minor) <= LARGEST_MINOR
    assert any(char.isdigit() for char in text)
