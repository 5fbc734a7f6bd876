"""Letters: real PDFs, A4, fonts embedded, the same bytes for the same message, the QR code only where it applies."""

from __future__ import annotations

import re

import pytest

from notifier_svc.rendering import render
from notifier_svc.rendering.body import contact
from notifier_svc.rendering.language import LANGUAGES
from notifier_svc.rendering.letter import epc_qr
from remit_events.state import Channel


def pdf_of(made) -> bytes:
    pdf = render(made, channels=[Channel.LETTER]).letter
    assert pdf is not None
    return pdf


def pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


@pytest.mark.parametrize("language", ["en", "de", "fr", "de-AT", "en-150"])
@pytest.mark.parametrize(
    ("stage", "days"), [("invoice", -30), ("upcoming", -5), ("overdue", 9), ("demand", 45), ("thanks", 3)]
)
def test_a_letter_is_a_pdf_on_a4_with_its_fonts(message, item, stage, days, language):
    pdf = pdf_of(message(stage, "firm", [item(days=days)], language=language))
    assert pdf.startswith(b"%PDF-1.")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert 1 <= pages(pdf) <= 2
    assert re.search(rb"/MediaBox\s*\[0 0 595\.\d+ 841\.\d+\]", pdf)
    assert b"/FontFile3" in pdf
    assert f"/Lang({language[:2]}".encode() in pdf.replace(b"/Lang (", b"/Lang(")


def test_forty_invoices_run_over_pages(message, item):
    assert pages(pdf_of(message(items=[item(str(i), 30 + i) for i in range(40)]))) == 3


def test_the_same_message_gives_the_same_bytes(message):
    assert pdf_of(message()) == pdf_of(message())


def test_euro_to_an_iban_carries_an_epc_code(message, item):
    assert (epc_qr(message()) or "").startswith("<?xml")
    assert epc_qr(message(items=[item("1"), item("2")]))
    assert epc_qr(message("demand", None, [item("1", 45)]))


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("another currency", {"items": [("1", 7, 100, "GBP")]}),
        ("two currencies", {"items": [("1", 7, 100, "EUR"), ("2", 7, 100, "GBP")]}),
        ("no account", {"seller": {"iban": None}}),
        ("no such account", {"seller": {"iban": "DE00 NOT AN IBAN !!"}}),
        ("more than the standard takes", {"items": [("1", 7, 10**12, "EUR")]}),
        ("nothing to pay", {"items": [("1", 7, 0, "EUR")]}),
    ],
)
def test_no_epc_code_for(message, item, why, changes):
    changes = dict(changes)
    if "items" in changes:
        changes["items"] = [item(*args) for args in changes["items"]]
    made = message(**changes)
    assert epc_qr(made) is None, why
    assert pdf_of(made).startswith(b"%PDF-")


def test_the_epc_code_asks_for_what_is_overdue_only(message, item):
    made = message(items=[item("1", 7, 100_000), item("2", -1, 500_000)])
    assert epc_qr(made) == epc_qr(message(items=[item("1", 7, 100_000)]))
    assert pdf_of(made).startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Write to us at the address above"),
        ("de", "Schreiben Sie uns an die oben"),
        ("fr", "Écrivez-nous à l’adresse"),
    ],
)
def test_nobody_is_asked_to_reply_to_paper(message, language, said):
    nobody = {"sender_email": None, "reply_to": None, "phone": None}
    seller, words = message(seller=nobody).seller, LANGUAGES[language]
    assert contact(seller, words, on_paper=True).startswith(said)
    assert contact(seller, words) == words.say("contact_reply")
    assert contact(seller.model_copy(update={"address": None}), words, on_paper=True) == ""
    for address in (seller.address, None):
        assert pages(pdf_of(message(seller=nobody | {"address": address}, language=language))) == 1


def test_a_thank_you_carries_none(message, item):
    assert epc_qr(message("thanks", None, [item("1", 3, 0, paid=5)])) is None
