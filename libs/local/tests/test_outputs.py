"""The simulation's files: one order, one form, nothing a spreadsheet would run."""

from __future__ import annotations

import csv
import random
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from remit_local.chart import write_chart
from remit_local.commands.simulating import tell
from remit_local.console import err, out
from remit_local.figures import Settlement, figures
from remit_local.outputs import (
    LoggedDecision,
    SentMessage,
    TakenRung,
    utc,
    write_decisions,
    write_escalations,
    write_messages,
)
from remit_local.svg import ticks

BERLIN = ZoneInfo("Europe/Berlin")
NINE = datetime(2026, 3, 2, 8, tzinfo=UTC)


def message(number: str = "R1", **changes: object) -> SentMessage:
    values: dict[str, object] = {
        "sent_at": NINE,
        "local_time": NINE.astimezone(BERLIN),
        "customer_id": "C1",
        "channel": "email",
        "stage": "overdue",
        "step": "second",
        "tone": "neutral",
        "language": "de",
        "invoice_numbers": (number,),
        "amounts_minor": (11900,),
        "currencies": ("EUR",),
        "subject": "Zahlungserinnerung",
    }
    return SentMessage(**(values | changes))  # type: ignore[arg-type]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_messages_have_one_order_and_form(tmp_path: Path) -> None:
    rows = [
        message("R2", invoice_numbers=("R2", "R3"), amounts_minor=(1, 2), currencies=("EUR", "JPY")),
        message("R1", channel="sms"),
        message("R1"),
        message("R9", customer_id="A9", sent_at=NINE + timedelta(seconds=1)),
        message("R0", customer_id="C0", subject='=HYPERLINK("x")'),
    ]
    path = tmp_path / "messages.csv"
    written = set()
    for seed in range(5):
        random.Random(seed).shuffle(rows)  # noqa: S311 - reproducible, not secret
        write_messages(path, rows)
        written.add(path.read_bytes())
    assert len(written) == 1
    found = read(path)
    assert [row["customer_id"] for row in found] == ["C0", "C1", "C1", "C1", "A9"]
    assert [row["invoice_numbers"] for row in found[1:4]] == ["R1", "R2;R3", "R1"]
    assert found[2] | {"amounts_minor": "1;2", "currencies": "EUR;JPY"} == found[2]
    assert found[0]["subject"] == '\'=HYPERLINK("x")'
    assert found[1]["sent_at"] == "2026-03-02T08:00:00Z"
    assert found[1]["local_time"] == "2026-03-02T09:00:00+01:00"


def test_decisions_and_escalations(tmp_path: Path) -> None:
    later = NINE + timedelta(days=1)
    decisions = [
        LoggedDecision(later, "C1", "R1", "third", "sent", "sent"),
        LoggedDecision(NINE, "C1", "R2", "second", "deferred", "minimum-gap"),
        LoggedDecision(NINE, "C1", "R1", "second", "sent", "sent"),
    ]
    write_decisions(tmp_path / "decisions.csv", decisions)
    assert [row["invoice_number"] for row in read(tmp_path / "decisions.csv")] == ["R1", "R2", "R1"]
    write_escalations(
        tmp_path / "escalations.csv",
        [TakenRung(NINE, "C1", "R1", "formal-demand", "formal_demand", "simulation", 3, 35, 11900)],
    )
    (row,) = read(tmp_path / "escalations.csv")
    assert row == {
        "at": "2026-03-02T08:00:00Z",
        "customer_id": "C1",
        "invoice_number": "R1",
        "rung": "formal-demand",
        "action": "formal_demand",
        "approved_by": "simulation",
        "reminders_sent": "3",
        "days_overdue": "35",
        "balance_minor": "11900",
    }


def test_utc_is_comparable_text() -> None:
    moments = [NINE + timedelta(hours=7 * n) for n in range(20)]
    assert sorted(map(utc, moments)) == [utc(moment) for moment in moments]
    assert datetime.fromisoformat(utc(NINE)) == NINE


def settlement(number: str, paid: date | None, due: date = date(2026, 2, 1)) -> Settlement:
    payments = ((paid, 1000),) if paid else ()
    return Settlement(number, "C1", date(2026, 1, 2), due, "EUR", 1000, number == "R3", paid, payments)


def test_figures_count_what_followed_each_step() -> None:
    sent = [
        message("R1", step="first", sent_at=NINE - timedelta(days=20), local_time=NINE - timedelta(days=20)),
        message("R2", step="first", sent_at=NINE - timedelta(days=20), local_time=NINE - timedelta(days=20)),
        message("R1", step="second"),
        message("R1", step="second", channel="sms"),
        message("R1", stage="invoice", step="invoice", sent_at=NINE - timedelta(days=40)),
    ]
    settlements = [
        settlement("R1", date(2026, 3, 10)),
        settlement("R2", date(2026, 2, 20)),
        settlement("R3", None),
    ]
    decisions = [LoggedDecision(NINE, "C1", "R1", "second", "sent", "sent")]
    found = figures(settlements, sent, decisions, [], date(2026, 3, 31))
    first, second = found.steps
    assert (first.step, first.messages, first.invoices, first.paid_next, first.paid_later) == ("first", 2, 2, 1, 1)
    assert (second.step, second.messages, second.invoices, second.paid_next) == ("second", 2, 1, 1)
    assert found.open_series["EUR"][0] == 3000
    assert found.open_series["EUR"][-1] == 1000
    assert len(found.open_series["EUR"]) == (date(2026, 3, 31) - date(2026, 1, 2)).days + 1
    assert found.summary | {"invoices": 3, "paid": 2, "paid_late": 2, "disputed": 1, "contacts": 3} == found.summary
    assert found.summary["mean_days_to_pay"] == round((67 + 49) / 2, 2)
    assert found.summary["open_at_end_minor"] == {"EUR": 1000}


def test_a_ledger_entered_later_is_shown_from_that_day_on() -> None:
    entered = [settlement("R1", date(2026, 3, 10))]
    found = figures(entered, [message("R1")], [], [], date(2026, 3, 31), date(2026, 3, 20))
    assert found.summary["from"] == "2026-03-20"
    assert [len(series) for series in found.open_series.values()] == [12]


def test_the_chart_is_self_contained(tmp_path: Path) -> None:
    found = figures([settlement("R1", date(2026, 3, 10))], [message("R1")], [], [], date(2026, 3, 31))
    path = tmp_path / "chart.html"
    write_chart(path, found, "Simulation of <ledger>.csv")
    html = path.read_text(encoding="utf-8")
    assert html.count("<svg") == 4
    assert "&lt;ledger&gt;" in html
    for loading in ("<script", "http:", "https:", "url(", "@import", "<link", "<img"):
        assert loading not in html
    for title in ("Messages per step", "Share paid after each step", "Days to pay", "Amount open over time"):
        assert title in html


def test_whom_nothing_could_reach_is_counted() -> None:
    settlements = [settlement("R1", None), settlement("R2", None), replace(settlement("R3", None), customer_id="C2")]
    unreached = [LoggedDecision(NINE, "C1", number, "second", "suppressed", "no-channel") for number in ("R1", "R2")]
    once = [LoggedDecision(NINE, "C2", "R3", "second", "suppressed", "no-channel")]
    found = figures(settlements, [message("R3", customer_id="C2")], [*unreached, *once], [], date(2026, 3, 31))
    assert found.summary["unreachable"] == {"customers": ["C1"], "invoices": 2, "amount_minor": {"EUR": 2000}}


def test_counts_have_whole_ticks_and_amounts_any() -> None:
    for top in range(1, 500):
        marks = ticks(top, whole=True)
        assert marks[-1] >= top
        assert all(mark.is_integer() for mark in marks), marks
        assert 2 <= len(marks) <= 6
    assert ticks(10) == [0, 2.5, 5, 7.5, 10]


def test_a_full_bar_says_so(tmp_path: Path) -> None:
    """Paid, though only after a later step: the bar's length and its label are both of all that were paid."""
    sent = [message("R1", step="first", sent_at=NINE - timedelta(days=20)), message("R1", step="second")]
    path = tmp_path / "chart.html"
    write_chart(path, figures([settlement("R1", date(2026, 3, 10))], sent, [], [], date(2026, 3, 31)), "x")
    shares = path.read_text(encoding="utf-8").partition("Share paid after each step")[2].partition("</section>")[0]
    labels = re.findall(r'class="s">(\d+%)<', shares)
    assert labels[-2:] == ["100%", "100%"]
    assert shares.count('<div class="legend">') == 1


def test_a_chart_of_nothing_is_drawn(tmp_path: Path) -> None:
    write_chart(tmp_path / "chart.html", figures([], [], [], [], date(2026, 3, 31)), "Nothing")
    assert (tmp_path / "chart.html").read_text(encoding="utf-8").count("<svg") == 4


def test_the_summary_says_why_nothing_went_and_whom_nothing_reaches() -> None:
    decisions = [
        LoggedDecision(NINE, "C1", "R1", "second", "suppressed", "no-channel"),
        LoggedDecision(NINE, "C2", "R2", "second", "suppressed", "paid"),
        LoggedDecision(NINE, "C2", "R2", "first", "sent", "sent"),
    ]
    settlements = [settlement("R1", None), replace(settlement("R2", None), customer_id="C2")]
    found = figures(settlements, [message("R2", customer_id="C2")], decisions, [], date(2026, 3, 31))
    with out.capture() as said, err.capture() as complained:
        tell(found.summary)
    lines = [" ".join(line.split()) for line in said.get().splitlines()]
    assert "steps suppressed 2 (no-channel 1, paid 1)" in lines
    assert "steps sent 1" in lines
    assert complained.get().startswith("Nothing reaches 1 customer (C1): 1 invoice, 10.00 EUR. Give them")
