"""Whole messages as people read them, kept in golden/ and read by eye when they change.

`REMIT_WRITE_GOLDEN=1 pytest …` writes them anew; the diff is the review.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from notifier_svc.rendering import PaymentInfo, render
from remit_events.state import Channel

GOLDEN = Path(__file__).parent / "golden"
CASES = {
    "en-invoice": ("invoice", None, "en", [("1001", -30)], {}),
    "en-upcoming-friendly-person": ("upcoming", "friendly", "en", [("1001", -1)], {"profile": "individual"}),
    "en-overdue-firm-three": ("overdue", "firm", "en", [("1001", 14), ("1002", 9), ("A-7", 3)], {}),
    "en-overdue-final": ("overdue", "final", "en", [("1001", 30)], {}),
    "en-thanks": ("thanks", None, "en", [("1001", 3)], {}),
    "de-due-neutral": ("due", "neutral", "de", [("1001", 0)], {}),
    "de-overdue-friendly-person": ("overdue", "friendly", "de", [("1001", 1)], {"profile": "individual"}),
    "de-overdue-firm-three": ("overdue", "firm", "de", [("1001", 14), ("1002", 9), ("A-7", 3)], {}),
    "de-demand": ("demand", None, "de", [("1001", 45)], {}),
    "fr-overdue-neutral": ("overdue", "neutral", "fr", [("1001", 7)], {}),
    "fr-overdue-final-three": ("overdue", "final", "fr", [("1001", 30), ("1002", 25), ("A-7", 20)], {}),
    "en-overdue-neutral-mixed": ("overdue", "neutral", "en", [("1001", 7), ("1002", -1)], {}),
    "en-overdue-final-mixed": ("overdue", "final", "en", [("1001", 30), ("1002", 0), ("A-7", -5)], {}),
    "en-overdue-friendly-mixed": ("overdue", "friendly", "en", [("1001", 1), ("1002", -1)], {"profile": "individual"}),
    "en-due-firm-mixed": ("due", "firm", "en", [("1001", 0), ("1002", -5)], {}),
    "de-overdue-final-mixed": ("overdue", "final", "de", [("1001", 30), ("1002", -1)], {}),
    "de-overdue-firm-mixed": ("overdue", "firm", "de", [("1001", 14), ("1002", -1), ("A-7", -7)], {}),
    "de-due-friendly-mixed": ("due", "friendly", "de", [("1001", 0), ("1002", -5)], {"profile": "individual"}),
    "fr-overdue-firm-mixed": ("overdue", "firm", "fr", [("1001", 14), ("1002", -1)], {}),
    "fr-overdue-final-mixed": ("overdue", "final", "fr", [("1001", 30), ("1002", 25), ("A-7", -1)], {}),
    "fr-due-neutral-mixed": ("due", "neutral", "fr", [("1001", 0), ("1002", -5), ("A-7", -7)], {}),
    "fr-demand": ("demand", None, "fr", [("1001", 45)], {"profile": "individual"}),
}


def compare(name: str, content: str) -> None:
    path = GOLDEN / name
    if os.environ.get("REMIT_WRITE_GOLDEN"):
        path.write_text(content, "utf-8")
    assert path.read_text("utf-8") == content


@pytest.mark.parametrize("name", CASES)
def test_reads_as_it_was_read(message, item, name):
    stage, tone, language, numbers, who = CASES[name]
    extras = {
        "1001": {"amount": 120_000},
        "1002": {"amount": 60_050, "paid": 39_950},
        "A-7": {"amount": 20_000, "currency": "USD", "disputed": 5_000},
    }
    if stage == "thanks":
        extras["1001"] = {"amount": 0, "paid": 120_000}
    items = [item(number, days, **extras[number]) for number, days in numbers]
    customer = {"name": "Claire Martin"} | who
    out = render(message(stage, tone, items, language=language, customer=customer), channels=[Channel.SMS])
    compare(f"{name}.txt", f"Subject: {out.subject}\n\n{out.text}\n==== SMS\n{out.sms}\n")


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_a_payment_for_more_than_the_paid_invoice_reads_as_it_was_read(message, item, language):
    payment = PaymentInfo("TX-77", date(2026, 4, 6), 500_000, "EUR", 330_000, ("1002", "A-7"), 50_000)
    made = message("thanks", None, [item("1001", 3, 0, paid=120_000)], language=language, payment=payment)
    out = render(made, channels=[Channel.SMS])
    compare(f"{language}-thanks-split.txt", f"Subject: {out.subject}\n\n{out.text}\n==== SMS\n{out.sms}\n")


def test_the_html_is_as_it_was_seen(message, item):
    items = [item("1001", 14), item("A-7", 3, 20_000, "USD", disputed=5_000)]
    compare("en-overdue-firm-two.html", render(message("overdue", "firm", items), channels=()).html)
