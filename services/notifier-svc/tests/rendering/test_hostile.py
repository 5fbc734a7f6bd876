"""Whatever stands in a name, number, address or link: nothing is executed, nothing breaks out, nothing explodes."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest
from jinja2.exceptions import SecurityError, UndefinedError
from remit_testing.hostile import CORPUS, RUN, check_page

from notifier_svc.rendering import PaymentInfo, clean, render
from notifier_svc.rendering.language import choose
from notifier_svc.rendering.view import build
from notifier_svc.rendering.wordings import environment
from remit_events.state import Channel

SINGLE = ("name", "bank_name", "account_manager", "phone", "reply_to", "iban", "bic")


def check(out) -> None:
    """What must hold of every message."""
    assert out.subject.strip()
    assert len(out.subject) <= 200
    assert not any(unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") for c in out.subject)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") and c != "\n" for c in out.text + out.html)
    check_page(out.html)
    assert len(out.text) < 20_000
    assert len(out.html) < 40_000
    for shown in (out.subject, out.text, out.html, out.sms or ""):
        shown.encode("utf-8")
        assert "\u202e" not in shown
        assert not [run for run in RUN if run in shown]


@pytest.mark.parametrize("language", ["en", "de", "fr"])
@pytest.mark.parametrize("attack", CORPUS)
def test_every_field_at_once(message, item, attack, language):
    text = CORPUS[attack]
    bad = message(
        "demand" if language == "fr" else "overdue",
        "firm",
        [item(text, 45), item("2", 44)],
        seller=dict.fromkeys(SINGLE, text) | {"address": text, "payment_link": text, "sender_email": text},
        customer={"name": text, "external_id": text, "profile": "individual", "address": text, "email": text},
        language=language,
        unsubscribe_url=text,
        unsubscribe_mailto=text,
        template=text,
    )
    out = render(bad, channels=list(Channel))
    check(out)
    assert out.letter is not None
    assert out.letter.startswith(b"%PDF-")
    if attack == "template":
        assert "{{7*7}}" in out.text
        assert "{{7*7}}" in out.html
    if attack == "header":
        assert "Acme Bcc: all@victim.example Hello" in out.text


@pytest.mark.parametrize("attack", CORPUS)
def test_a_thank_you_too(message, item, attack):
    payment = PaymentInfo(CORPUS[attack], item().invoice.issue_date, 5, "EUR")
    check(
        render(message("thanks", None, [item(CORPUS[attack], 3, 0, paid=5)], payment=payment), channels=[Channel.SMS])
    )


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "data:text/html,x", "https://x.example/ y", "https://x\r\ny", "//x"]
)
def test_only_http_links_become_links(message, link):
    out = render(message(seller={"payment_link": link}, unsubscribe_url=link), channels=())
    assert "href" not in out.html


def test_an_unsubscribe_address_is_a_mailto(message):
    made = message(unsubscribe_url=None, unsubscribe_mailto="mailto:stop@x.example?subject=unsubscribe abc")
    out = render(made, channels=())
    assert 'href="mailto:stop@x.example?subject=unsubscribe%20abc"' in out.html
    assert "mailto:stop@x.example?subject=unsubscribe%20abc" in out.text


@pytest.mark.parametrize(
    "source",
    [
        "{{ m.__class__ }}",
        "{{ m.seller.__class__.__mro__ }}",
        "{{ m.lines.append(1) }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ '{0.__class__}'.format(m) }}",
    ],
)
def test_templates_run_in_a_sandbox(message, source):
    view = build(message(), choose("en", "GB", "en", "DE"))
    with pytest.raises((SecurityError, UndefinedError)):
        environment().from_string(source).render(m=view)


def test_a_name_a_template_misspells_is_an_error(message):
    view = build(message(), choose("en", "GB", "en", "DE"))
    with pytest.raises(UndefinedError):
        environment().from_string("{{ m.amuont }}").render(m=view)


def test_cleaning_keeps_what_names_are_made_of():
    for name in ("Zoë Müller-Lüdenscheidt", "Ō’Brien & Søn", "株式会社リミット", "محمد علی", "👩‍👩‍👧", "नमस्ते"):
        assert clean.line(name) == name
    assert clean.line("a  \u200b b") == "a b"
    assert clean.clip("ab e\u0301e\u0301", 5) == "ab e…"
    assert clean.lines("One\r\n\r\nTwo\n" + "More\n" * 20) == ("One", "Two", *["More"] * 4)


def test_a_right_to_left_number_does_not_reorder_the_sum_after_it(message, item):
    subject = render(message(items=[item("שלום-1")]), channels=()).subject
    assert "שלום-1\u200e, €1,200.00" in subject
    assert "\u200e" not in render(message(), channels=()).subject


def test_the_digest_tells_what_left(message):
    one = render(message(), channels=[Channel.EMAIL])
    assert one.digest == render(message(), channels=[Channel.EMAIL]).digest
    assert len(one.digest) == 64
    both = render(message(), channels=[Channel.EMAIL, Channel.SMS])
    other = render(replace(message(), unsubscribe_url=None), channels=[Channel.EMAIL])
    assert len({one.digest, both.digest, other.digest}) == 3
