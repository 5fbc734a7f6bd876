"""Field types: what is taken, in which form it is kept, what is refused with which way out."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from remit_service.validation import Country, Currency, Email, Key, LanguageTag, Phone, Text, TimeZone


def taken(kind: Any, text: str) -> str:
    return TypeAdapter(kind).validate_python(text)


@pytest.mark.parametrize(
    ("kind", "text", "kept"),
    [
        (Email, " Anna@Example.COM ", "Anna@example.com"),
        (Email, "anna+bills@sub.example.test", "anna+bills@sub.example.test"),
        (Email, "jürgen@müller.example", "jürgen@müller.example"),
        (Phone, "+49 30 123456", "+4930123456"),
        (Phone, "+1 (212) 555-0100", "+12125550100"),
        (Country, "de", "DE"),
        (TimeZone, "America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        (TimeZone, "UTC", "UTC"),
        (Currency, "eur", "EUR"),
        (LanguageTag, "de", "de"),
        (LanguageTag, "zh-Hant-TW", "zh-Hant-TW"),
        (Key, "day-after", "day-after"),
        (Text(10), "  a b ", "a b"),
        (Text(10, lines=True), "a\nb", "a\nb"),
    ],
)
def test_what_is_taken(kind, text, kept):
    assert taken(kind, text) == kept


@pytest.mark.parametrize(
    ("kind", "text", "code"),
    [
        (Email, "anna", "email"),
        (Email, "anna@", "email"),
        (Email, "a b@example.com", "email"),
        (Email, "anna@example.com\nBcc: x@y.example", "email"),
        (Email, "a" * 250 + "@example.com", "string_too_long"),
        (Email, "anna@example", "email"),
        (Phone, "030 123456", "phone"),
        (Phone, "+49", "phone"),
        (Phone, "+999123456", "phone"),
        (Phone, "call me", "phone"),
        (Country, "UK", "country"),
        (Country, "Germany", "country"),
        (Country, "", "country"),
        (TimeZone, "Berlin", "time_zone"),
        (TimeZone, "../../etc/passwd", "time_zone"),
        (TimeZone, "Mars/Olympus", "time_zone"),
        (TimeZone, "EST", "time_zone"),
        (Currency, "EURO", "currency"),
        (Currency, "XAU", "currency"),
        (LanguageTag, "deutsch", "string_pattern_mismatch"),
        (Key, "Day After", "string_pattern_mismatch"),
        (Key, "-x", "string_pattern_mismatch"),
        (Text(5), "123456", "string_too_long"),
        (Text(5), " ", "string_too_short"),
        (Text(50), "Subject\r\nBcc: x", "line_break"),
        (Text(50), "a\u2028b", "line_break"),
        (Text(50), "a\x00b", "control_character"),
        (Text(50, lines=True), "a\x1bb", "control_character"),
        (Text(50, lines=True), "a\x9bb", "control_character"),
    ],
)
def test_what_is_refused(kind, text, code):
    with pytest.raises(ValidationError) as caught:
        taken(kind, text)
    (fault,) = caught.value.errors()
    assert fault["type"] == code


def test_a_wrong_country_says_what_was_meant():
    with pytest.raises(ValidationError, match="United Kingdom is GB"):
        taken(Country, "uk")


@pytest.mark.parametrize("kind", [Email, Phone, Country, TimeZone, Currency, LanguageTag, Key, Text(5)])
@pytest.mark.parametrize("value", [None, 5, ["x"], {"a": 1}, True])
def test_what_is_no_text(kind, value):
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)


def test_a_pattern_is_refused_in_words() -> None:
    for kind, text, said in (
        (Key, "My key", "Write lower-case letters, digits and dashes, at most 63, as day-after."),
        (LanguageTag, "german", "Write a language tag, as de or fr-CH."),
    ):
        with pytest.raises(ValidationError, match=said):
            taken(kind, text)
        assert TypeAdapter(kind).json_schema()["pattern"].startswith("^[")
