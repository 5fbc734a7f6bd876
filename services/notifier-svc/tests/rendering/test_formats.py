"""Money is exact, by ISO 4217's digits and the locale's signs."""

from __future__ import annotations

import pytest
from babel.numbers import format_currency
from hypothesis import given
from hypothesis import strategies as st

from notifier_svc.rendering.formats import Formats
from remit_service.money import from_minor

LOCALES = ("en_GB", "en_US", "en_IN", "de_DE", "de_AT", "de_CH", "fr_FR", "fr_CH", "fr_CA")


@given(
    minor=st.integers(0, 10**15),
    locale_id=st.sampled_from(LOCALES),
    currency=st.sampled_from(["EUR", "USD", "GBP", "JPY", "INR"]),
)
def test_as_babel_writes_it(minor, locale_id, currency):
    expected = format_currency(from_minor(minor, currency), currency, locale=locale_id)
    assert Formats(locale_id).money(minor, currency) == expected


@pytest.mark.parametrize(
    ("locale_id", "currency", "minor", "written"),
    [
        ("en_GB", "JPY", 5, "JP¥5"),
        ("en_GB", "SEK", 100, "SEK\u00a01.00"),  # UTS 35's spacing, which Babel leaves out
        ("en_GB", "KWD", 5, "KWD\u00a00.005"),
        ("en_GB", "TND", 1_234_567, "TND\u00a01,234.567"),
        ("de_DE", "TND", 1_234_567, "1.234,567\u00a0TND"),
        ("en_GB", "IQD", 1_500, "IQD\u00a01.500"),  # CLDR would drop the fils that ISO 4217 counts
        ("de_DE", "IQD", 1_500, "1,500\u00a0IQD"),
        ("en_IN", "INR", 123_456_789, "₹12,34,567.89"),
        ("de_DE", "EUR", 0, "0,00\u00a0€"),
        ("en_US", "EUR", -5, "-€0.05"),
    ],
)
def test_minor_units_by_iso_4217(locale_id, currency, minor, written):
    assert Formats(locale_id).money(minor, currency) == written


def test_an_unknown_currency_is_refused():
    with pytest.raises(ValueError, match="ZZZ"):
        Formats("en_GB").money(1, "ZZZ")
