"""E-mails as bytes: what is put in comes out of a standard parser, and no header can be smuggled in."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier_svc import mime

printable = st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=150)
REORDERING = [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))]
HEADERS = [("From", "a@example.com"), ("To", "b@example.com")]


@settings(deadline=None)
@given(printable)
def test_a_subject_survives(subject: str) -> None:
    raw = mime.message([*HEADERS, ("Subject", mime.unstructured(subject))], "x", "y", "b0")
    head = raw.split(b"\r\n\r\n")[0]
    assert all(len(line) <= 998 for line in head.split(b"\r\n"))
    found = message_from_bytes(raw, policy=policy.SMTP)["Subject"]
    assert " ".join(str(found).split()) == " ".join(subject.split())


@settings(deadline=None)
@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\x00"), max_size=2000))
def test_bodies_survive_and_lines_stay_short(body: str) -> None:
    raw = mime.message([*HEADERS, ("Subject", "x")], body, f"<p>{body}</p>", "b0")
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 76
    message = message_from_bytes(raw, policy=policy.SMTP)
    plain, html = message.iter_parts()  # type: ignore[union-attr]
    for part, given_body in ((plain, body), (html, f"<p>{body}</p>")):
        found = part.get_payload(decode=True).decode().replace("\r\n", "\n")
        assert found.rstrip("\n") == given_body.rstrip("\n")


@settings(deadline=None)
@given(printable)
def test_a_name_survives(name: str) -> None:
    raw = mime.message([("From", mime.address(name, "x@example.com")), ("To", "b@example.com")], "x", "y", "b0")
    # The newer parser keeps the white space between encoded words of a name; RFC 2047 6.2 drops it.
    shown, box = parseaddr(message_from_bytes(raw)["From"])
    assert box == "x@example.com"
    kept = "".join(character for character in name if character not in REORDERING)
    assert " ".join(str(make_header(decode_header(shown))).split()) == " ".join(kept.split())


@pytest.mark.parametrize(
    "text", ["=?utf-8?q?=0D=0ABcc=3Aall=40x=2Ede?=", "a =?utf-8?b?DQpCY2M6IHg=?= b", "=?x", "1 =? 2 ?="]
)
def test_what_looks_encoded_is_shown_and_not_decoded(text: str) -> None:
    headers = [("From", mime.address(text, "x@example.com")), ("Subject", mime.unstructured(text))]
    message = message_from_bytes(mime.message([*headers, ("To", "b@example.com")], "x", "y", "b0"), policy=policy.SMTP)
    assert message["From"].addresses[0].display_name == message["Subject"] == text


@pytest.mark.parametrize("mark", REORDERING)
def test_a_name_cannot_reorder_the_address_after_it(mark: str) -> None:
    assert mime.address(f"Kun{mark}de", "x@example.com") == "Kunde <x@example.com>"
    assert mime.address(mark, "x@example.com") == "x@example.com"


@pytest.mark.parametrize("bad", ["a\r\nBcc: x@evil.example", "a\nb", "a\rb", "a\x00b", "a\u2028b", "a\x0bb"])
def test_nothing_is_smuggled_into_a_header(bad: str) -> None:
    for build in (mime.unstructured, lambda text: mime.address(text, "x@example.com"), lambda t: mime.address("n", t)):
        with pytest.raises(mime.HeaderInjectionError):
            build(bad)
    with pytest.raises(mime.HeaderInjectionError):
        mime.message([("X-Any", bad)], "x", "y", "b0") if "\u2028" not in bad and "\x0b" not in bad else build(bad)


def test_the_date_is_the_given_moment() -> None:
    assert mime.date(datetime(2026, 3, 2, 10, tzinfo=UTC)) == "Mon, 02 Mar 2026 10:00:00 +0000"
