"""Money and dates as a locale writes them (CLDR through Babel), fast enough for every message.

Amounts are exact integers in minor units by ISO 4217; CLDR's own digit counts, which differ for some currencies,
are not used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from babel import Locale
from babel.dates import format_date
from babel.numbers import get_currency_symbol, get_decimal_symbol, get_group_symbol

from remit_service.money import exponent

NBSP = "\u00a0"
# What CLDR's patterns leave out: where the first of a month is an ordinal.
_FIRST_OF_MONTH = {"fr": "1er"}


@dataclass(frozen=True, slots=True)
class _MoneyPattern:
    prefix: str
    suffix: str
    decimal: str
    group: str
    grouping: tuple[int, int]
    digits: int

    def apply(self, minor: int) -> str:
        sign, whole = ("-" if minor < 0 else ""), str(abs(minor))
        fraction = ""
        if self.digits:
            whole = whole.zfill(self.digits + 1)
            whole, fraction = whole[: -self.digits], self.decimal + whole[-self.digits :]
        return f"{sign}{self.prefix}{self._grouped(whole)}{fraction}{self.suffix}"

    def _grouped(self, whole: str) -> str:
        first, rest = self.grouping
        if len(whole) <= first:
            return whole
        parts = [whole[-first:]]
        whole = whole[:-first]
        while whole:
            parts.append(whole[-rest:])
            whole = whole[:-rest]
        return self.group.join(reversed(parts))


@lru_cache(maxsize=1024)
def _money_pattern(locale_id: str, currency: str) -> _MoneyPattern:
    locale = Locale.parse(locale_id)
    pattern = locale.currency_formats["standard"]
    symbol = get_currency_symbol(currency, locale)
    prefix, suffix = (part.replace("¤", symbol) for part in (pattern.prefix[0], pattern.suffix[0]))
    # UTS 35, currency spacing: a code of letters never touches the digits.
    if prefix and prefix[-1].isalpha():
        prefix += NBSP
    if suffix and suffix[0].isalpha():
        suffix = NBSP + suffix
    return _MoneyPattern(
        prefix,
        suffix,
        get_decimal_symbol(locale),
        get_group_symbol(locale),
        pattern.grouping,
        exponent(currency),
    )


@lru_cache(maxsize=8192)
def _date(locale_id: str, style: str, day: date) -> str:
    locale = Locale.parse(locale_id)
    written = format_date(day, style, locale=locale)
    first = _FIRST_OF_MONTH.get(locale.language)
    return re.sub(r"^1(?= )", first, written) if first and day.day == 1 else written


@dataclass(frozen=True, slots=True)
class Formats:
    """Formats of one locale, by Babel's identifier (`de_AT`)."""

    locale_id: str

    def money(self, minor: int, currency: str) -> str:
        """`minor` units of `currency` with its symbol; may hold no-break spaces."""
        return _money_pattern(self.locale_id, currency).apply(minor)

    def long(self, day: date) -> str:
        """31 March 2026."""
        return _date(self.locale_id, "long", day)

    def medium(self, day: date) -> str:
        """31 Mar 2026, for subjects and SMS."""
        return _date(self.locale_id, "medium", day)
