"""Cells of a spreadsheet export: dates, amounts and yes/no; what could mean two things is refused, never guessed."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

from remit_service.money import exponent, to_minor

ISO_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ]00:00(?::00(?:\.0+)?)?)?", re.ASCII)
DAY_MONTH = re.compile(r"\d{1,2}([./-])\d{1,2}\1(\d{4}|\d{2})", re.ASCII)
YEARS = range(1900, 2200)

# Longest token first, so that YYYY is not read as YY twice.
TOKENS = {"YYYY": "%Y", "MMMM": "%B", "MMM": "%b", "YY": "%y", "MM": "%m", "DD": "%d", "M": "%m", "D": "%d"}
TOKEN = re.compile("|".join(TOKENS))

YES = frozenset({"yes", "y", "true", "t", "1", "on", "x", "ja", "j", "wahr", "oui", "o", "vrai"})
NO = frozenset({"no", "n", "false", "f", "0", "off", "nein", "falsch", "non", "faux"})

SPACES = re.compile("[ \u00a0\u2009\u202f]")
APOSTROPHES = re.compile("['\u2019]")


class CellError(ValueError):
    """A cell that cannot be taken; the message says why and what would be."""


def parse_flag(text: str) -> bool:
    """yes/no in the spellings exports use. Raises CellError."""
    word = text.strip().casefold()
    if word in YES:
        return True
    if word in NO:
        return False
    raise CellError("is neither yes nor no")


def date_pattern(spec: str) -> str:
    """A strptime pattern from `%d.%m.%Y` or `DD.MM.YYYY`; raises ValueError unless it fixes day, month and year."""
    pattern = spec if "%" in spec else TOKEN.sub(lambda match: TOKENS[match[0]], spec.upper())
    probe = date(2026, 4, 13)
    try:
        fixed = datetime.strptime(probe.strftime(pattern), pattern).date() == probe  # noqa: DTZ007 - a date, no zone
    except (ValueError, re.error):  # a field named twice is an error of the pattern
        fixed = False
    if not fixed:
        raise ValueError(f"the date format {spec!r} must name day, month and year, like DD.MM.YYYY or %m/%d/%Y")
    return pattern


@lru_cache(maxsize=8192)
def parse_date(text: str, pattern: str | None = None) -> date:
    """An ISO date, or one of the given strptime pattern; anything else is refused. Raises CellError."""
    if pattern:
        try:
            return _sane(datetime.strptime(text, pattern).date())  # noqa: DTZ007 - a date, no zone
        except ValueError:
            if pattern == "%Y-%d-%m":  # would read an ISO date wrongly where the day is 12 or less
                raise CellError("is not a date of the format YYYY-DD-MM") from None
    match = ISO_DATE.fullmatch(text)
    if match:
        try:
            return _sane(date.fromisoformat(match[1]))
        except ValueError:
            raise CellError("is no day of the calendar") from None
    if pattern:
        raise CellError(f"is neither an ISO date (2026-04-03) nor of the format {_spelled(pattern)}")
    if found := DAY_MONTH.fullmatch(text):
        raise CellError(_which_format(text, found[1], "Y" * len(found[2])))
    raise CellError("is not an ISO date (2026-04-03): give --date-format")


def _which_format(text: str, mark: str, year: str) -> str:
    """What is wrong with a date like 03.04.2026 while no format is given."""
    formats = [spec for spec in (f"DD{mark}MM{mark}{year}", f"MM{mark}DD{mark}{year}") if _reads(text, spec)]
    if not formats:
        return "is no day of the calendar"
    if len(formats) == 1:
        return f"is not an ISO date (2026-04-03): give --date-format {formats[0]}, if the file has it so throughout"
    return f"could be read in two ways: give --date-format {' or '.join(formats)}, as the file has it"


def _reads(text: str, spec: str) -> bool:
    try:
        parse_date(text, date_pattern(spec))
    except CellError:
        return False
    return True


def _spelled(pattern: str) -> str:
    """A strptime pattern as it may be given: `%d.%m.%Y` as DD.MM.YYYY."""
    for token, code in TOKENS.items():
        pattern = pattern.replace(code, token)
    return pattern


def _sane(day: date) -> date:
    if day.year not in YEARS:
        raise CellError(f"has a year outside {YEARS.start}-{YEARS.stop - 1}")
    return day


def parse_amount(text: str, currency: str, *, decimal_comma: bool = False, zero: bool = False) -> int:
    """Minor units of `currency`, exact. Raises CellError; zero is taken only where `zero` is set."""
    number = _decimal(text.strip(), decimal_comma)
    try:
        minor = to_minor(number, currency)
    except ValueError:
        digits = exponent(currency)
        too_fine = number.scaleb(digits) % 1 != 0
        raise CellError(f"has more decimals than {currency} has ({digits})" if too_fine else "is too large") from None
    if minor == 0 and not zero:
        raise CellError("must be more than zero")
    return minor


def _decimal(text: str, decimal_comma: bool) -> Decimal:
    if text.startswith(("-", "−", "(")) or text.endswith("-"):
        raise CellError("must not be negative")
    point, group = (",", ".") if decimal_comma else (".", ",")
    whole, _, fraction = text.partition(point)
    if not re.fullmatch(r"\d*", fraction, re.ASCII) or (point in text and not fraction):
        raise CellError(_not_an_amount(text, decimal_comma))
    plain = _ungroup(whole, group)
    if plain is None:
        raise CellError(_not_an_amount(text, decimal_comma))
    if group == "," and re.fullmatch(r"\d{1,3},\d{3}", text, re.ASCII):
        raise CellError("could be read in two ways: write it without the comma, or give --decimal-comma")
    return Decimal(f"{plain}.{fraction or 0}")


def _ungroup(whole: str, group: str) -> str | None:
    """The digits without thousands separators; None when they do not stand where they must."""
    unified = APOSTROPHES.sub("'", SPACES.sub(" ", whole))
    if re.fullmatch(r"\d+", unified, re.ASCII):
        return unified
    for separator in (group, " ", "'"):
        mark = re.escape(separator)
        if re.fullmatch(rf"\d{{1,3}}(?:{mark}\d{{3}})+|\d{{1,2}}(?:{mark}\d{{2}})+{mark}\d{{3}}", unified, re.ASCII):
            return unified.replace(separator, "")
    return None


def _not_an_amount(text: str, decimal_comma: bool) -> str:
    if not decimal_comma and re.fullmatch(r"[\d. ']*\d,\d{1,3}", text, re.ASCII):
        return "has a decimal comma: give --decimal-comma"
    if decimal_comma and re.fullmatch(r"[\d, ']*\d\.\d{1,2}", text, re.ASCII):
        return "has a decimal point, but --decimal-comma was given"
    return "is not an amount: digits with a decimal point, no currency sign"
