"""Amounts: exact, by the currency's decimals, refused when they cannot be."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit_service.money import LARGEST_MINOR, currencies, exponent, from_minor, to_minor


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
