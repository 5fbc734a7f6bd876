"""What is overdue and what is only coming, in one message: nobody is dunned for what is not due."""

from __future__ import annotations

import pytest

from notifier_svc.rendering import catalogue, render
from notifier_svc.rendering.sms import segments
from remit_events.state import Channel, Stage

LANGUAGES = ("en", "de", "fr")
ASKED = {"en": "€1,000.00", "de": "1.000,00 €", "fr": "1 000,00 €"}
COMING = {"en": "€5,000.00", "de": "5.000,00 €", "fr": "5 000,00 €"}
BOTH = {"en": "€6,000.00", "de": "6.000,00 €", "fr": "6 000,00 €"}
TOTALS = {
    ("overdue", "en"): ("Total overdue", "Not yet overdue"),
    ("overdue", "de"): ("Summe überfällig", "Noch nicht überfällig"),
    ("overdue", "fr"): ("Total échu", "Pas encore échu"),
    ("due", "en"): ("Total due now", "Due later"),
    ("due", "de"): ("Summe jetzt fällig", "Später fällig"),
    ("due", "fr"): ("À régler aujourd’hui", "À régler plus tard"),
}
WORDINGS = sorted(
    {(e.stage.value, e.tone.value) for e in catalogue() if e.tone and e.stage in (Stage.OVERDUE, Stage.DUE)}
)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("stage", "tone"), WORDINGS)
@pytest.mark.parametrize("coming", [1, 2])
def test_only_what_is_due_is_asked_for_and_the_rest_is_told_apart(message, item, stage, tone, language, coming):
    days = {"overdue": 14, "due": 0}[stage]
    later = [item(f"B-{i}", -i, 500_000 // coming) for i in range(1, coming + 1)]
    out = render(
        message(stage, tone, [item("A-1", days, 100_000), *later], language=language),
        channels=[Channel.SMS],
    )
    sms = out.sms or ""

    text = " ".join(out.text.split())
    for shown in (out.subject, text, out.html.replace("\u00a0", " ").replace("\u202f", " "), sms):
        assert BOTH[language] not in shown
        assert shown.index("A-1") < shown.index("B-1")
    asked, rest = TOTALS[stage, language]
    assert f"{asked} {ASKED[language]} {rest} {COMING[language]}" in text
    opening = text[: text.index("A-1 " + ASKED[language])]
    assert opening.count(COMING[language]) == 1
    assert text.count("B-1") == 3  # in a sentence, in the table, in the footer: not on the transfer
    assert segments(sms) <= 2
    assert COMING[language] in out.subject


def test_in_an_overdue_message_what_is_due_today_is_only_coming(message, item):
    out = render(message("overdue", "final", [item("A-1", 9), item("B-1", 0, 4_200)]), channels=())
    assert "not overdue, falls due on 7 April 2026 (today)" in " ".join(out.text.split())


@pytest.mark.parametrize("stage", ["upcoming", "demand", "invoice", "thanks"])
def test_elsewhere_all_invoices_are_what_the_message_is_about(message, item, stage):
    days = 45 if stage == "demand" else -5
    out = render(message(stage, "firm", [item("A-1", days), item("A-2", days + 1)]), channels=())
    assert "A-1 and A-2" in out.subject
    assert "not due yet" not in out.text
