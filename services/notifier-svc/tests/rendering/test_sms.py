"""Short messages: two segments, the seller's name, how to stop, one message for all invoices."""

from __future__ import annotations

import pytest

from notifier_svc.rendering import catalogue, render
from notifier_svc.rendering.sms import segments
from remit_events.state import Channel

STOP = {"en": "Reply STOP to opt out.", "de": "Abmelden: Antwort STOP.", "fr": "répondez STOP."}


def sms(made) -> str:
    text = render(made, channels=[Channel.SMS]).sms
    assert text is not None
    return text


@pytest.mark.parametrize("count", [1, 3, 12])
@pytest.mark.parametrize("language", sorted(STOP))
def test_two_segments_name_of_seller_amount_and_stop(message, item, language, count):
    for entry in catalogue():
        if entry.language != language:
            continue
        days = {"upcoming": -5, "invoice": -30, "due": 0}.get(entry.stage, 20)
        items = [item(f"2026-{i:04}", days - i, 123_456) for i in range(1, count + 1)]
        text = sms(message(entry.stage, entry.tone, items, language=language))
        assert segments(text) <= 2, (entry, text)
        assert text.startswith("Brightwater GmbH")
        assert text.endswith(STOP[language])
        assert "2026-0001" in text
        assert text.isprintable()


def test_it_says_what_is_owed_since_when_and_where_to_pay(message):
    text = sms(message("overdue", "firm"))
    for fact in ("invoice 1001", "€1,200.00", "31 Mar 2026", "7 days overdue", "https://pay.brightwater.example/i"):
        assert fact.lower() in text.lower()
    assert "IBAN" not in text
    assert "DE89370400440532013000" in sms(message("overdue", "firm", seller={"payment_link": None}))


def test_a_demand_names_total_and_deadline(message, item):
    text = sms(message("demand", None, [item("D-1", 45)]))
    assert "€1,250.65 payable by 21 Apr 2026" in text


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("Hôtel Bœuf à l’Ancre", "Hotel Boeuf à l'Ancre"),
        ("Żółć Sp. z o.o.", "Zolc Sp. z o.o."),
        ("Crème „Brûlée“ — Tübingen", 'Crème "Brulée" - Tübingen'),
    ],
)
def test_accents_outside_the_gsm_alphabet_are_folded(message, name, sent):
    text = sms(message("overdue", "firm", seller={"name": name}, language="fr"))
    assert text.startswith(f"{sent}:")
    assert segments(text) <= 2


def test_other_scripts_are_kept_and_shortened(message):
    text = sms(message("overdue", "firm", seller={"name": "株式会社リミット" * 20}))
    assert "株式会社" in text
    assert segments(text) <= 2
    assert text.endswith(STOP["en"])


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("ç" * 70, 1),
        ("ç" * 71, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
    ],
)
def test_segments_are_counted_as_operators_count(text, count):
    assert segments(text) == count


def test_only_when_asked_for(message):
    out = render(message(), channels=[Channel.EMAIL])
    assert out.sms is None
    assert out.letter is None
