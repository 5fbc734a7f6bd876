"""Field types that refuse what cannot be right, each saying the way out."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from remit_service import money, zones

LONGEST_EMAIL = 254  # RFC 5321


def Text(longest: int, *, lines: bool = False, shortest: int = 1) -> Any:  # noqa: N802  # a type, used as one
    """A text of 1 to `longest` characters after stripping; one line unless `lines`."""
    limits = StringConstraints(strip_whitespace=True, min_length=shortest, max_length=longest)
    return Annotated[str, limits, AfterValidator(_multi_line if lines else _single_line)]


def _single_line(text: str) -> str:
    if text.isprintable():  # one fast call that clears nearly every text
        return text
    if "\n" in text or "\r" in text or "\u2028" in text or "\u2029" in text:
        raise PydanticCustomError("line_break", "This must be one line; remove the line break.")
    return _multi_line(text)


def _multi_line(text: str) -> str:
    if text.isprintable():  # one fast call that clears nearly every text
        return text
    if any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\t\n\r" for char in text):
        raise PydanticCustomError("control_character", "The text holds a control character; remove it.")
    return text


@lru_cache(maxsize=4096)
def _email(text: str) -> str:
    try:
        # Whether its domain takes mail is the delivery's business: no network here.
        return validate_email(text, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        detail = "This is no e-mail address: {reason} Write it as name@example.com."
        raise PydanticCustomError("email", detail, {"reason": str(error).rstrip(".") + "."}) from None


@lru_cache(maxsize=4096)
def _phone(text: str) -> str:
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_possible_number(number):
        raise PydanticCustomError("phone", "This is no phone number; write it with its country code, as +4930123456.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _country(text: str) -> str:
    code = text.upper()
    if code not in zones.countries():
        hint = " The United Kingdom is GB." if code == "UK" else ""
        raise PydanticCustomError("country", "This is no ISO 3166 country code of two letters, as DE or US." + hint)
    return code


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(name for name in available_timezones() if "/" in name or name == "UTC")


def _zone(text: str) -> str:
    if text in _zone_names():
        try:
            ZoneInfo(text)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
        else:
            return text
    raise PydanticCustomError("time_zone", "This is no IANA time zone; write it as Europe/Berlin or America/New_York.")


def _currency(text: str) -> str:
    code = text.upper()
    if code not in money.currencies():
        raise PydanticCustomError("currency", "This is no ISO 4217 currency code, as EUR, USD or JPY.")
    return code


Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_EMAIL), AfterValidator(_email)]
Phone = Annotated[str, StringConstraints(strip_whitespace=True, max_length=40), AfterValidator(_phone)]
Country = Annotated[str, StringConstraints(strip_whitespace=True, max_length=10), AfterValidator(_country)]
TimeZone = Annotated[str, StringConstraints(strip_whitespace=True, max_length=60), AfterValidator(_zone)]
Currency = Annotated[str, StringConstraints(strip_whitespace=True, max_length=10), AfterValidator(_currency)]


def Patterned(pattern: str, detail: str, **described: Any) -> Any:  # noqa: N802  # a type, used as one
    """A text of a pattern; another is refused with `detail`, which says in words what the pattern wants."""

    def refuse(text: Any, check: ValidatorFunctionWrapHandler) -> Any:
        try:
            return check(text)
        except ValidationError as error:
            code = error.errors()[0]["type"]
            if code != "string_pattern_mismatch":
                raise
            raise PydanticCustomError(code, detail) from None

    limits = StringConstraints(pattern=pattern, strip_whitespace=True)
    return Annotated[str, limits, Field(**described), WrapValidator(refuse)]


def KeyOf(longest: int) -> Any:  # noqa: N802  # a type, used as one
    """What an address, a file name and a shell take as it is."""
    detail = f"Write lower-case letters, digits and dashes, at most {longest}, as day-after."
    described = "Lower-case letters, digits and dashes, as day-after."
    return Patterned(rf"^[a-z0-9][a-z0-9-]{{0,{longest - 1}}}$", detail, description=described)


if TYPE_CHECKING:
    Key = str
    LanguageTag = str
    WebAddress = str
else:
    Key = KeyOf(63)
    LanguageTag = Patterned(
        r"^[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?$",
        "Write a language tag, as de or fr-CH.",
        description="BCP 47, as de or fr-CH.",
    )
    WebAddress = Patterned(r"^https?://[^\s/?#]+(/[^\s?#]*)?$", "Write a web address, as https://remit.example.")
