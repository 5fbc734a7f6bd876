"""Whatever the stage, tone, language, number of invoices and currency: the reader finds every fact."""

from __future__ import annotations

import html
import re

import pytest

from notifier_svc.rendering import catalogue, render
from remit_events.state import Channel, Stage

DAYS = {"upcoming": -5, "due": 0, "overdue": 12, "demand": 45, "invoice": -30, "thanks": 3}
# The item's due date is 7 April 2026 less those days; written as each language writes it, long and short.
DUE = {
    "upcoming": ("12 April 2026", "12 Apr 2026", "12. April 2026", "12.04.2026", "12 avril 2026", "12 avr. 2026"),
    "due": ("7 April 2026", "7 Apr 2026", "7. April 2026", "07.04.2026", "7 avril 2026", "7 avr. 2026"),
    "overdue": ("26 March 2026", "26 Mar 2026", "26. März 2026", "26.03.2026", "26 mars 2026", "26 mars 2026"),
    "demand": ("21 February 2026", "21 Feb 2026", "21. Februar 2026", "21.02.2026", "21 février 2026", "21 févr. 2026"),
    "invoice": ("7 May 2026", "7 May 2026", "7. Mai 2026", "07.05.2026", "7 mai 2026", "7 mai 2026"),
}
RELATIVE = {
    ("upcoming", "en"): "in 5 days",
    ("upcoming", "de"): "in 5 Tagen",
    ("upcoming", "fr"): "dans 5 jours",
    ("due", "en"): "today",
    ("due", "de"): "heute",
    ("due", "fr"): "aujourd’hui",
    ("overdue", "en"): "12 days overdue",
    ("overdue", "de"): "12 Tage",
    ("overdue", "fr"): "12 jours",
    ("demand", "en"): "45 days overdue",
    ("demand", "de"): "45 Tage",
    ("demand", "fr"): "45 jours",
    ("invoice", "en"): "in 30 days",
    ("invoice", "de"): "in 30 Tagen",
    ("invoice", "fr"): "dans 30 jours",
}
AMOUNTS = {  # minor units → as en, de and fr write them (plain spaces)
    "EUR": (123_456, "€1,234.56", "1.234,56 €", "1 234,56 €"),
    "USD": (123_456, "US$1,234.56", "1.234,56 $", "1 234,56 $US"),
    "GBP": (50, "£0.50", "0,50 £", "0,50 £GB"),
    "JPY": (98_765, "JP¥98,765", "98.765 ¥", "98 765 JPY"),
    "TND": (1_234_567, "TND 1,234.567", "1.234,567 TND", "1 234,567 TND"),
    "KWD": (12_345, "KWD 12.345", "12,345 KWD", "12,345 KWD"),
}
LANGUAGES = ("en", "de", "fr")
WORDINGS = sorted({(entry.stage.value, entry.tone.value if entry.tone else None) for entry in catalogue()}, key=str)


def words_of(markup: str) -> str:
    """What a reader of the HTML sees, on one line with plain spaces."""
    body = re.sub(r"<(style|title).*?</\1>", " ", markup, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("currency", AMOUNTS)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("stage", "tone"), WORDINGS)
def test_one_invoice_says_number_amount_date_days_way_to_pay_and_whom_to_ask(
    message, item, stage, tone, language, currency
):
    minor, *written = AMOUNTS[currency]
    amount = written[LANGUAGES.index(language)]
    one = item("INV-7", DAYS[stage], minor, currency)
    out = render(
        message(stage, tone, [one], language=language, customer={"country": {"en": "GB"}.get(language, "DE")}),
        channels=(),
    )

    text, seen = squeezed(out.text), words_of(out.html)
    facts = ["INV-7", amount, "accounts@brightwater.example", "+49 30 1234567", "Brightwater GmbH", "Lindenstraße 12"]
    if stage != "thanks":
        place = LANGUAGES.index(language) * 2
        long, medium = DUE[stage][place], DUE[stage][place + 1]
        facts += [long, "DE89 3704 0044 0532 0130 00", "COBADEFFXXX", "Spreebank", RELATIVE[stage, language]]
        assert medium in out.subject
        assert RELATIVE[stage, language] in out.subject
        assert "https://pay.brightwater.example/i" in text
        assert 'href="https://pay.brightwater.example/i"' in out.html
    for fact in facts:
        # German inflects inside a sentence: "12 Tage überfällig", "seit 12 Tagen überfällig".
        assert fact.removesuffix(" überfällig") in text, fact
        assert fact in seen, fact
    assert "INV-7" in out.subject
    if stage not in ("thanks", "demand"):
        assert amount in out.subject
    assert "https://remit.example/v1/unsubscribe/abc" in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("stage", "tone"), WORDINGS)
def test_several_invoices_stand_in_a_table_with_a_total_per_currency(message, item, stage, tone, language):
    days = DAYS[stage]
    items = [item("A-1", days, 100_010), item("A-2", days, 20_005), item("A-3", days, 5_000, "USD")]
    out = render(message(stage, tone, items, language=language), channels=())

    totals = {"en": ("€1,200.15", "US$50.00"), "de": ("1.200,15 €", "50,00 $"), "fr": ("1 200,15 €", "50,00 $US")}
    for shown in (squeezed(out.text), words_of(out.html)):
        for number in ("A-1", "A-2", "A-3"):
            assert number in shown
        for sum_ in totals[language]:
            if stage != "demand" or "€" not in sum_:
                assert sum_ in shown
        assert "1.250,15" not in shown
        assert "1,250.15" not in shown
        assert "1 250,15" not in shown
    assert all(number in out.subject for number in ("A-1", "A-2", "A-3"))
    assert out.html.count('scope="col"') == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_subject_counts_what_it_does_not_name(message, item, language):
    many = [item(str(1001 + i), 7, 1_000) for i in range(5)]
    out = render(message("overdue", "neutral", many, language=language), channels=())
    counted = {"en": "1001, 1002 and 3 more", "de": "1001, 1002 und 3 weitere", "fr": "1001, 1002 et 3 autres"}
    assert counted[language] in out.subject
    assert all(str(1001 + i) in out.text and str(1001 + i) in out.html for i in range(5))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("count", [1, 3])
def test_a_disputed_rest_is_named_and_not_asked_for(message, item, language, count):
    items = [item("B-1", 9, 70_000, disputed=30_000), *(item(f"B-{i}", 9, 100) for i in range(2, count + 1))]
    out = render(message("overdue", "firm", items, language=language), channels=())
    asked = {"en": "€700.00", "de": "700,00 €", "fr": "700,00 €"}[language]
    disputed = {"en": "€300.00", "de": "300,00 €", "fr": "300,00 €"}[language]
    part = {"en": "undisputed part", "de": "unstrittige Betrag", "fr": "non contestée"}[language]
    for shown in (squeezed(out.text), words_of(out.html)):
        assert asked in shown
        assert disputed in shown
        assert part in shown
    assert disputed not in out.subject


def test_what_is_already_paid_is_acknowledged(message, item):
    text = squeezed(render(message(items=[item("B-1", 9, 70_000, paid=30_000)]), channels=()).text)
    assert "Invoice amount: €1,000.00 Already paid: €300.00 Amount due: €700.00" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_demand_lists_what_makes_up_its_total(message, item, demand, language):
    one = item("D-1", 45, 120_000)
    out = render(message("demand", None, [one], language=language, demand=demand()), channels=())
    parts = {
        "en": ("€1,200.00", "€10.65", "€40.00", "€1,250.65", "21 April 2026", "4 reminders"),
        "de": ("1.200,00 €", "10,65 €", "40,00 €", "1.250,65 €", "21. April 2026", "4 Erinnerungen"),
        "fr": ("1 200,00 €", "10,65 €", "40,00 €", "1 250,65 €", "21 avril 2026", "4 rappels"),
    }[language]
    for part in parts:
        assert part in squeezed(out.text), part
        assert part in words_of(out.html), part
    assert parts[3] in out.subject
    assert "R. Sommer" not in out.text + out.html


@pytest.mark.parametrize(
    ("language", "labels"),
    [
        ("en", ("Interest", "Compensation")),
        ("de", ("Verzugszinsen", "Verzugspauschale")),
        ("fr", ("Intérêts de retard", "Indemnité")),
    ],
)
def test_a_demand_without_interest_or_compensation_does_not_mention_them(message, item, demand, language, labels):
    terms = demand(interest=0, compensation=0)
    out = render(message("demand", None, [item("D-1", 45)], language=language, demand=terms), channels=())
    assert not any(label in out.text + out.html for label in labels)


def test_extra_claims_join_the_leading_currency_only(message, item, demand):
    items = [item("D-1", 45, 10_000, "GBP"), item("D-2", 44, 20_000, "EUR")]
    text = squeezed(
        render(message("demand", None, items, demand=demand(interest=500, compensation=0)), channels=()).text
    )
    assert "Principal: £100.00 and €200.00" in text
    assert "Total payable: £105.00 and €200.00" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_thanks_names_the_payment_and_asks_for_nothing(message, item, language):
    paid = item("T-1", 3, 0, paid=120_000)
    out = render(message("thanks", None, [paid], language=language), channels=())
    for fact in ("T-1", "TX-77", {"en": "€1,200.00", "de": "1.200,00 €", "fr": "1 200,00 €"}[language]):
        assert fact in squeezed(out.text)
    assert {"en": "6 April 2026", "de": "6. April 2026", "fr": "6 avril 2026"}[language] in squeezed(out.text)
    assert "DE89" not in out.text + out.html
    assert "pay.brightwater" not in out.text + out.html


def test_thanks_for_a_part_says_what_is_still_open(message, item):
    text = squeezed(render(message("thanks", None, [item("T-1", 3, 40_000, paid=80_000)]), channels=()).text)
    assert "paid in full" not in text
    assert "Still open: €400.00" in text


def test_an_invoice_without_due_date_says_nothing_about_one(message, item):
    out = render(message("invoice", None, [item("I-1", 0, has_due=False)]), channels=())
    assert out.subject == "Invoice I-1 from Brightwater GmbH: €1,200.00"
    assert "due date" not in out.text.lower()


def test_a_seller_without_bank_or_link_is_asked_for_details(message):
    out = render(message(seller={"iban": None, "payment_link": None}), channels=())
    assert "contact us for our payment details" in squeezed(out.text)
    assert "contact us for our payment details" in words_of(out.html)


def test_many_invoices_are_paid_under_the_customers_number(message, item):
    many = [item(f"2026-{i:05}", 7, 1_000) for i in range(20)]
    assert "Payment reference: C-1042" in squeezed(render(message(items=many), channels=()).text)


@pytest.mark.parametrize(
    ("language", "company", "person"),
    [
        ("en", "Dear Sir or Madam,", "Dear Anna Roth,"),
        ("de", "Sehr geehrte Damen und Herren,", "Guten Tag Anna Roth,"),
        ("fr", "Madame, Monsieur,", "Bonjour Anna Roth,"),
    ],
)
def test_companies_and_people_are_greeted_differently(message, language, company, person):
    for profile, name, greeting in (
        ("business", "Northwind", company),
        ("government", "Stadt Ulm", company),
        ("individual", "Anna Roth", person),
        ("individual", " ", company),
    ):
        who = {"profile": profile, "name": name}
        assert render(message(language=language, customer=who), channels=()).text.startswith(greeting + "\n\n")


@pytest.mark.parametrize("stage", [Stage.UPCOMING, Stage.DUE, Stage.OVERDUE, Stage.DEMAND])
def test_what_cannot_be_said_is_refused(message, item, stage):
    with pytest.raises(ValueError, match="due date"):
        render(message(stage, "firm", [item(has_due=False)]), channels=[Channel.EMAIL])
    with pytest.raises(ValueError, match="at least one"):
        render(message(stage, "firm", []), channels=[Channel.EMAIL])
