"""Which language a message is in, whole; and that each language folder says everything, properly."""

from __future__ import annotations

import re
import string
from datetime import date

import pytest

from notifier_svc.rendering import catalogue, render
from notifier_svc.rendering.language import LANGUAGES, TEMPLATES, choose
from remit_events.state import Channel, Stage, Tone


@pytest.mark.parametrize(
    ("customer", "seller", "used"),
    [
        ("de", "en", "de"),
        ("de-AT", "en", "de-AT"),
        ("DE_at", "en", "de-AT"),
        ("fr-CA", "de", "fr-CA"),
        ("nl", "de", "de"),
        ("nl", "pl", "en"),
        (None, "fr", "fr"),
        ("", "de-CH", "de-CH"),
        ("english please", "de", "de"),
        ("../de", "fr", "fr"),
        ("en-x-private", "de", "en"),
        ("de-Latn-DE-1996", "en", "de-DE"),
    ],
)
def test_the_customers_language_then_the_sellers_then_english(message, customer, seller, used):
    out = render(message(language=customer, seller={"language": seller}), channels=())
    assert out.language == used
    assert f'<html lang="{used}"' in out.html
    greeting = {"en": "Dear Sir", "de": "Sehr geehrte", "fr": "Madame"}[used[:2]]
    assert out.text.startswith(greeting)


@pytest.mark.parametrize(
    ("tag", "country", "seller_country", "amount", "day"),
    [
        ("en", "US", "DE", "€1,234.50", "March 1, 2026"),
        ("en", "GB", "US", "€1,234.50", "1 March 2026"),
        ("en", "DE", "DE", "€1,234.50", "1 March 2026"),  # English between two Germans: not German digits
        ("en", "DE", "US", "€1,234.50", "March 1, 2026"),
        ("de", "AT", "DE", "€ 1.234,50", "1. März 2026"),
        ("de-AT", "DE", "DE", "€ 1.234,50", "1. März 2026"),
        ("de-CH", "DE", "DE", "EUR 1’234.50", "1. März 2026"),
        ("de", "NL", "NL", "1.234,50 €", "1. März 2026"),
        ("fr", "CA", "DE", "1 234,50 €", "1er mars 2026"),
        ("fr-XX", "ZZ", "QQ", "1 234,50 €", "1er mars 2026"),
    ],
)
def test_formats_follow_the_region(tag, country, seller_country, amount, day):
    formats = choose(tag, country, "en", seller_country).formats
    assert formats.money(123_450, "EUR").replace("\u00a0", " ").replace("\u202f", " ") == amount
    assert formats.long(date(2026, 3, 1)) == day


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("code", sorted(LANGUAGES))
def test_every_language_has_the_words_of_english(code):
    english, other = LANGUAGES["en"], LANGUAGES[code]
    assert other.labels.keys() == english.labels.keys()
    assert other.plurals.keys() == english.plurals.keys()
    for key, label in english.labels.items():
        assert placeholders(other.labels[key]) == placeholders(label), key
    for key, forms in english.plurals.items():
        allowed = placeholders(forms["other"]) | {"n"}
        assert all(placeholders(form) <= allowed for form in other.plurals[key].values()), key


@pytest.mark.parametrize("code", sorted(LANGUAGES))
def test_every_language_has_the_same_wordings(code):
    wordings = {(entry.stage, entry.tone) for entry in catalogue() if entry.language == code}
    assert wordings == {(entry.stage, entry.tone) for entry in catalogue() if entry.language == "en"}
    assert {stage for stage, _ in wordings} == set(Stage)
    assert {(Stage.OVERDUE, tone) for tone in Tone} <= wordings


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("tone", [None, *Tone])
@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_stage_can_be_said_in_every_tone(message, item, stage, tone, language):
    days = {"upcoming": -3, "invoice": -3, "due": 0}.get(stage, 20)
    out = render(message(stage, tone, [item("9", days)], language=language), channels=[Channel.SMS])
    assert all((out.subject, out.text, out.html, out.sms))


def test_tones_differ_and_an_unwritten_one_falls_back_to_the_next_milder(message, item):
    overdue = {render(message("overdue", tone), channels=()).text for tone in Tone}
    assert len(overdue) == 4
    final, firm = (render(message("upcoming", t, [item(days=-3)]), channels=()).text for t in ("final", "firm"))
    assert final == firm
    assert render(message("overdue", None), channels=()) == render(message("overdue", "neutral"), channels=())


PLURALS = {
    "en": {
        -2: "in 2 days", -1: "tomorrow", 0: "today", 1: "1 day overdue", 2: "2 days overdue", 21: "21 days overdue",
    },
    "de": {
        -2: "in 2 Tagen", -1: "morgen", 0: "heute", 1: "1 Tag überfällig", 2: "2 Tage überfällig",
        21: "21 Tage überfällig",
    },
    "fr": {
        -2: "dans 2 jours", -1: "demain", 0: "aujourd’hui", 1: "1 jour de retard", 2: "2 jours de retard",
        21: "21 jours de retard",
    },
}  # fmt: skip


@pytest.mark.parametrize("language", PLURALS)
def test_days_are_counted_as_people_count_them(message, item, language):
    for days, said in PLURALS[language].items():
        stage = "upcoming" if days < 0 else "due" if days == 0 else "overdue"
        assert said in render(message(stage, "neutral", [item(days=days)], language=language), channels=()).subject
    statuses = {
        "en": ("due tomorrow", "1 day overdue", "2 days overdue"),
        "de": ("morgen fällig", "seit 1 Tag überfällig", "seit 2 Tagen überfällig"),
        "fr": ("à échéance demain", "en retard de 1 jour", "en retard de 2 jours"),
    }[language]
    for days, status in zip((-1, 1, 2), statuses, strict=True):
        stage = "upcoming" if days < 0 else "overdue"
        text = render(message(stage, "neutral", [item(days=days)], language=language), channels=()).text
        assert status in " ".join(text.split())


@pytest.mark.parametrize(
    ("language", "sent"),
    [
        ("en", {1: "1 reminder ", 3: "3 reminders "}),
        ("de", {1: "1 Erinnerung ", 3: "3 Erinnerungen "}),
        ("fr", {1: "1 rappel ", 3: "3 rappels "}),
    ],
)
def test_reminders_are_counted_too(message, item, demand, language, sent):
    for n, said in sent.items():
        out = render(
            message("demand", None, [item(days=45)], language=language, demand=demand(reminders=n)), channels=()
        )
        assert said in " ".join(out.text.split()).replace(";", " ").replace("  ", " ")
    none = render(message("demand", None, [item(days=45)], language=language, demand=demand(reminders=0)), channels=())
    assert not re.search(r"0 (reminder|Erinnerung|rappel)", none.text)


ENGLISH = re.compile(
    r"\b(the|and|of|is|are|was|has|been|to|for|with|your|you|our|please|invoice|invoices|payment|payments|paid|due|"
    r"overdue|day|days|today|tomorrow|amount|number|pay|bank account|holder|reference|status|reminder|reminders|open|"
    r"customer|regards|dear|sir|page|phone|by|from|dated|dispute|write|call|unsubscribe|questions\?|thank|reply)\b",
    re.IGNORECASE,
)
# Spelled alike in the other language, or the test's own data.
SHARED = {"de": {"was"}, "fr": {"page"}}


@pytest.mark.parametrize("language", ["de", "fr"])
def test_no_english_leaks_into_other_languages(message, item, language):
    seller = {"name": "Brightwater", "reply_to": "a@b.example", "payment_link": "https://b.example/x"}
    for entry in catalogue():
        if entry.language != language:
            continue
        days = {"upcoming": -5, "invoice": -5, "due": 0}.get(entry.stage, 20)
        several = [item("1", days, 70, disputed=3, paid=2), item("2", days - 1), item("3", -9), item("4", -9)]
        for items in ([item("1", days)], several[:2], several[:3], several):
            made = message(entry.stage, entry.tone, items, language=language, seller=seller,
                           unsubscribe_url="https://r.example/u")  # fmt: skip
            out = render(made, channels=[Channel.SMS])
            body = re.sub(r"<(style).*?</\1>|<[^>]+>", " ", out.html, flags=re.DOTALL)
            for shown in (out.subject, out.text, body, out.sms or ""):
                found = {word.lower() for word in ENGLISH.findall(shown)} - SHARED[language]
                assert not found, (entry, found)


def test_french_punctuation_has_its_no_break_space():
    for path in (TEMPLATES / "fr").iterdir():
        prose = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "0", path.read_text("utf-8"), flags=re.DOTALL)
        assert not re.search(r"[^\s] [:;!?»]|« ", prose), path.name
        assert "'" not in prose, f"{path.name}: a straight apostrophe"


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_plain_parts_hold_no_no_break_spaces(message, language):
    out = render(message("overdue", "final", language=language), channels=[Channel.SMS])
    for plain in (out.subject, out.text, out.sms or ""):
        assert not re.search("[\u00a0\u202f]", plain)
