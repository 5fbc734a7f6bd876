"""The checker of simulations finds nothing in files that keep every rule, and each breach put into them."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from remit_testing.ledger_oracle import Checker
from remit_testing.ledger_places import DEFAULTS

# Worked out by hand. A1 is never paid; 18 to 21 April 2025 are Easter. B2 to B4 use up the cap, so that B5 waits until
# it can go and B6 until it is too late. C1's last two steps fall on one day; C2's move past its payment or its issue.
LEDGER = """
customer_id,email,phone,profile,country,timezone,invoice_number,issue_date,due_date,amount,currency,disputed,paid_date,sms_consent,address
A,a@example.com,+4915112345678,business,DE,Europe/Berlin,A1,2025-03-03,2025-03-17,100.50,EUR,no,,yes,1 Street
B,b@example.com,,business,DE,Europe/Berlin,B2,2025-05-05,2025-05-19,20.00,EUR,no,2025-05-15,no,
B,b@example.com,,business,DE,Europe/Berlin,B3,2025-05-05,2025-05-20,30.00,EUR,no,2025-05-15,no,
B,b@example.com,,business,DE,Europe/Berlin,B4,2025-05-05,2025-05-21,40.00,EUR,no,2025-05-15,no,
B,b@example.com,,business,DE,Europe/Berlin,B5,2025-05-05,2025-05-22,50.00,EUR,no,2025-05-21,no,
B,b@example.com,,business,DE,Europe/Berlin,B6,2025-05-12,2025-05-16,60.00,EUR,no,2025-05-17,no,
C,c@example.com,,individual,DE,,C1,2025-06-25,2025-06-29,1.234,KWD,no,2025-06-30,no,
C,c@example.com,,individual,DE,,C2,2025-06-06,2025-06-07,5000,JPY,no,2025-06-09,no,
D,,,business,DE,Europe/Berlin,D1,2025-09-01,2025-09-03,9.99,EUR,no,2025-09-05,no,
D,,,business,DE,Europe/Berlin,D2,2025-09-01,2025-09-03,9.99,EUR,yes,2025-09-05,no,
"""
DECISIONS = """
at,customer_id,invoice_number,step,outcome,rule
2025-03-10T08:00:00Z,A,A1,courtesy,sent,sent
2025-03-14T08:00:00Z,A,A1,tomorrow,sent,sent
2025-03-18T08:00:00Z,A,A1,day-after,sent,sent
2025-03-24T08:00:00Z,A,A1,second,sent,sent
2025-03-31T07:00:00Z,A,A1,third,sent,sent
2025-04-16T07:00:00Z,A,A1,final-notice,sent,sent
2025-05-12T07:00:00Z,B,B2,courtesy,sent,sent
2025-05-13T07:00:00Z,B,B3,courtesy,sent,sent
2025-05-14T07:00:00Z,B,B4,courtesy,sent,sent
2025-05-15T07:00:00Z,B,B5,courtesy,deferred,contact-cap
2025-05-15T07:00:00Z,B,B6,tomorrow,deferred,contact-cap
2025-05-16T07:00:00Z,B,B6,tomorrow,skipped,too-late
2025-05-19T07:00:00Z,B,B5,courtesy,sent,sent
2025-06-08T22:00:00Z,C,C2,due,skipped,before-issue
2025-06-08T22:00:00Z,C,C2,plus-1,suppressed,paid
2025-06-27T07:00:00Z,C,C1,minus-2,merged,harder-step
2025-06-27T07:00:00Z,C,C1,due,sent,sent
2025-09-02T07:00:00Z,D,D1,tomorrow,suppressed,no-channel
2025-09-02T07:00:00Z,D,D2,tomorrow,suppressed,disputed
2025-09-04T07:00:00Z,D,D1,day-after,suppressed,no-channel
2025-09-04T07:00:00Z,D,D2,day-after,suppressed,disputed
"""
MESSAGES = """
sent_at,customer_id,channel,stage,step,invoice_numbers,amounts_minor,currencies
2025-03-10T08:00:00Z,A,email,upcoming,courtesy,A1,10050,EUR
2025-03-14T08:00:00Z,A,email,upcoming,tomorrow,A1,10050,EUR
2025-03-18T08:00:00Z,A,email,overdue,day-after,A1,10050,EUR
2025-03-24T08:00:00Z,A,email,overdue,second,A1,10050,EUR
2025-03-24T08:00:00Z,A,sms,overdue,second,A1,10050,EUR
2025-03-31T07:00:00Z,A,email,overdue,third,A1,10050,EUR
2025-03-31T07:00:00Z,A,sms,overdue,third,A1,10050,EUR
2025-04-16T07:00:00Z,A,email,overdue,final-notice,A1,10050,EUR
2025-04-16T07:00:00Z,A,letter,overdue,final-notice,A1,10050,EUR
2025-04-16T07:00:00Z,A,sms,overdue,final-notice,A1,10050,EUR
2025-04-22T07:00:00Z,A,email,demand,formal-demand,A1,10050,EUR
2025-04-22T07:00:00Z,A,letter,demand,formal-demand,A1,10050,EUR
2025-05-12T07:00:00Z,B,email,upcoming,courtesy,B2,2000,EUR
2025-05-13T07:00:00Z,B,email,upcoming,courtesy,B3,3000,EUR
2025-05-14T07:00:00Z,B,email,upcoming,courtesy,B4,4000,EUR
2025-05-19T07:00:00Z,B,email,upcoming,courtesy,B5,5000,EUR
2025-06-27T07:00:00Z,C,email,upcoming,due,C1,1234,KWD
"""
ESCALATIONS = """
at,customer_id,invoice_number,rung,action,approved_by,reminders_sent,days_overdue,balance_minor
2025-03-31T07:00:00Z,A,A1,account-manager,task,,3,14,10050
2025-04-22T07:00:00Z,A,A1,formal-demand,demand,simulation,4,36,10050
2025-05-05T07:00:00Z,A,A1,suspension,task,,4,49,10050
"""
Rows = list[dict[str, str]]


class Output:
    """A simulation's files as rows, to be changed and written."""

    def __init__(self) -> None:
        self.ledger, self.decisions, self.messages, self.escalations = map(
            _rows, (LEDGER, DECISIONS, MESSAGES, ESCALATIONS)
        )

    def decision(self, number: str, step: str, outcome: str = "") -> dict[str, str]:
        return next(
            row
            for row in self.decisions
            if (row["invoice_number"], row["step"]) == (number, step) and outcome in ("", row["outcome"])
        )

    def told(self, number: str, step: str) -> Rows:
        return [row for row in self.messages if (row["invoice_numbers"], row["step"]) == (number, step)]

    def move(self, number: str, step: str, at: str) -> None:
        """The touch and what is logged of it."""
        for row in self.told(number, step):
            row["sent_at"] = at
        self.decision(number, step, "sent")["at"] = at

    def log(self, at: str, customer: str, number: str, step: str, outcome: str, rule: str) -> None:
        cells = (at, customer, number, step, outcome, rule)
        self.decisions.append(dict(zip(self.decisions[0], cells, strict=True)))

    def breaches(self, folder: Path) -> list[str]:
        for row in self.messages:
            row["local_time"] = datetime.fromisoformat(row["sent_at"]).astimezone(ZoneInfo("Europe/Berlin")).isoformat()
        self.decisions.sort(key=lambda row: row["at"])
        for name in ("decisions", "messages", "escalations"):
            found: Rows = getattr(self, name)
            with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, found[0])
                writer.writeheader()
                writer.writerows(found)
        return Checker(self.ledger, folder, DEFAULTS).run()


def _rows(text: str) -> Rows:
    return list(csv.DictReader(StringIO(text.strip())))


def test_the_checker_shares_no_code_with_the_system() -> None:
    code = "import sys, remit_testing.ledger_oracle; print(*{name.partition('.')[0] for name in sys.modules})"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "holidays" in loaded
    assert [name for name in loaded if name.endswith("_svc") or name.startswith("remit")] == ["remit_testing"]


def test_files_that_keep_every_rule(tmp_path: Path) -> None:
    assert Output().breaches(tmp_path) == []


Breach = Callable[[Output], object]


def no_final(out: Output) -> None:
    out.decisions.remove(out.decision("D1", "day-after"))


def two_finals(out: Output) -> None:
    out.log("2025-05-19T07:00:00Z", "B", "B5", "courtesy", "suppressed", "paid")


def on_a_sunday(out: Output) -> None:
    out.move("A1", "day-after", "2025-03-23T08:00:00Z")


def on_a_holiday(out: Output) -> None:
    out.move("A1", "final-notice", "2025-04-18T07:00:00Z")


def at_the_closing(out: Output) -> None:
    out.move("A1", "third", "2025-03-31T15:00:00Z")


def a_day_late(out: Output) -> None:
    out.move("A1", "third", "2025-04-01T07:00:00Z")


def on_the_day_of_payment(out: Output) -> None:
    out.move("B5", "courtesy", "2025-05-21T07:00:00Z")


def a_second_that_day(out: Output) -> None:
    out.messages.append(out.told("A1", "day-after")[0] | {"sent_at": "2025-03-18T09:00:00Z"})


def above_the_cap(out: Output) -> None:
    out.decisions.remove(out.decision("B5", "courtesy", "deferred"))
    out.move("B5", "courtesy", "2025-05-15T07:00:00Z")


def to_a_disputed_one(out: Output) -> None:
    out.decision("D2", "tomorrow").update(outcome="sent", rule="sent")


def suppressed_turned_into_sent(out: Output) -> None:
    out.decision("D1", "tomorrow").update(outcome="sent", rule="sent")


def sent_turned_into_suppressed(out: Output) -> None:
    out.decision("A1", "second").update(outcome="suppressed", rule="no-channel")
    for row in out.told("A1", "second"):
        out.messages.remove(row)


def too_small_a_debt(out: Output) -> None:
    out.decision("D1", "tomorrow")["rule"] = "below-minimum"


def escalated_before_the_demand(out: Output) -> None:
    out.decision("D1", "tomorrow")["rule"] = "escalated"


def needless_deferral(out: Output) -> None:
    out.log("2025-03-24T08:00:00Z", "A", "A1", "second", "deferred", "minimum-gap")
    out.move("A1", "second", "2025-03-25T08:00:00Z")


def deferred_by_another_rule(out: Output) -> None:
    out.decision("B5", "courtesy", "deferred")["rule"] = "minimum-gap"


def deferred_by_a_hold(out: Output) -> None:
    out.decision("B5", "courtesy", "deferred")["rule"] = "held"


def deferred_for_too_long(out: Output) -> None:
    out.move("B5", "courtesy", "2025-05-20T07:00:00Z")


def too_late_without_a_deferral(out: Output) -> None:
    out.decisions.remove(out.decision("B6", "tomorrow", "deferred"))


def too_late_after_the_due_date(out: Output) -> None:
    out.decision("A1", "third").update(outcome="skipped", rule="too-late")


def paid_that_should_have_gone(out: Output) -> None:
    out.decision("B4", "courtesy").update(at="2025-05-14T22:00:00Z", outcome="suppressed", rule="paid")
    out.messages.remove(out.told("B4", "courtesy")[0])


def merged_into_nothing(out: Output) -> None:
    out.decision("A1", "day-after").update(outcome="merged", rule="harder-step")
    out.messages.remove(out.told("A1", "day-after")[0])


def merged_into_a_later_one(out: Output) -> None:
    merged = out.decision("A1", "day-after")
    merged.update(at="2025-03-24T08:00:00Z", outcome="merged", rule="harder-step")
    out.messages.remove(out.told("A1", "day-after")[0])


def before_an_issue_it_is_after(out: Output) -> None:
    out.decision("D1", "tomorrow").update(outcome="skipped", rule="before-issue")


def an_unheard_of_rule(out: Output) -> None:
    out.decision("D1", "tomorrow")["rule"] = "mood"


def not_its_amount(out: Output) -> None:
    out.told("C1", "due")[0]["amounts_minor"] = "123"


def not_its_stage(out: Output) -> None:
    out.told("C1", "due")[0]["stage"] = "due"


def not_by_letter(out: Output) -> None:
    out.messages.remove(next(row for row in out.told("A1", "final-notice") if row["channel"] == "letter"))


def told_but_not_logged(out: Output) -> None:
    out.decisions.remove(out.decision("A1", "courtesy"))


def a_rung_twice(out: Output) -> None:
    out.escalations.append(out.escalations[-1] | {"at": "2025-05-06T07:00:00Z", "days_overdue": "50"})


def a_rung_before_its_predecessor(out: Output) -> None:
    out.escalations[0], out.escalations[1] = (
        out.escalations[0] | {"rung": "formal-demand"},
        out.escalations[1] | {"rung": "account-manager"},
    )


def a_demand_right_after_a_reminder(out: Output) -> None:
    for row in (out.escalations[1], *out.told("A1", "formal-demand")):
        row["at" if "at" in row else "sent_at"] = "2025-04-17T07:00:00Z"
    out.escalations[1]["days_overdue"] = "31"


def a_demand_after_two_reminders(out: Output) -> None:
    for step in ("second", "third"):
        for row in out.told("A1", step):
            out.messages.remove(row)


def reminded_after_the_demand(out: Output) -> None:
    out.escalations[1].update(at="2025-04-15T07:00:00Z", days_overdue="29", reminders_sent="3")


@pytest.mark.parametrize(
    ("breach", "words"),
    [
        (no_final, "D1 day-after: 0 final rows"),
        (two_finals, "B5 courtesy: 2 final rows"),
        (on_a_sunday, "a day off in DE"),
        (on_a_holiday, "a day off in DE"),
        (at_the_closing, "outside 09:00:00-17:00:00"),
        (a_day_late, "A1 third sent/sent at 2025-04-01T07:00:00Z: it was for 2025-03-31T07:00:00+00:00"),
        (on_the_day_of_payment, "invoice B5 was paid on 2025-05-21"),
        (a_second_that_day, "2 messages to ('A', 'email', '2025-03-18')"),
        (above_the_cap, "B: 4 contacts in the 7 days to 2025-05-15"),
        (to_a_disputed_one, "D2 tomorrow sent/sent at 2025-09-02T07:00:00Z: the invoice is disputed"),
        (suppressed_turned_into_sent, "no channel can be reached"),
        (suppressed_turned_into_sent, "no message lists ('D1', '2025-09-02T07:00:00Z')"),
        (sent_turned_into_suppressed, "suppressed/no-channel at 2025-03-24T08:00:00Z: it can be reached"),
        (too_small_a_debt, "suppressed/below-minimum at 2025-09-02T07:00:00Z: 999 is not below 0"),
        (escalated_before_the_demand, "suppressed/escalated at 2025-09-02T07:00:00Z: no demand before it"),
        (needless_deferral, "deferred/minimum-gap at 2025-03-24T08:00:00Z: derived: nothing holds it back"),
        (deferred_by_another_rule, "deferred/minimum-gap at 2025-05-15T07:00:00Z: derived: contact-cap"),
        (deferred_by_a_hold, "deferred/held at 2025-05-15T07:00:00Z: nothing in the ledger explains"),
        (deferred_for_too_long, "B5 courtesy sent/sent at 2025-05-20T07:00:00Z: it was for 2025-05-19"),
        (too_late_without_a_deferral, "skipped/too-late at 2025-05-16T07:00:00Z: it was for 2025-05-15"),
        (too_late_after_the_due_date, "only an upcoming step that was held back"),
        (paid_that_should_have_gone, "suppressed/paid at 2025-05-14T22:00:00Z: it was for 2025-05-14T07"),
        (merged_into_nothing, "no harder step of the invoice was sent with it"),
        (merged_into_a_later_one, "merged/harder-step at 2025-03-24T08:00:00Z: it was for 2025-03-18"),
        (before_an_issue_it_is_after, "D1 tomorrow skipped/before-issue"),
        (an_unheard_of_rule, "suppressed/mood at 2025-09-02T07:00:00Z: nothing in the ledger explains"),
        (not_its_amount, "invoice C1 is not about 123 KWD"),
        (not_its_stage, "due leads, upcoming"),
        (not_by_letter, "not by ['email', 'letter', 'sms']"),
        (told_but_not_logged, "message lists ('A1', '2025-03-10T08:00:00Z') but no step is logged"),
        (a_rung_twice, "A1: suspension after ['account-manager', 'formal-demand', 'suspension']"),
        (a_rung_before_its_predecessor, "A1: formal-demand after []"),
        (a_demand_right_after_a_reminder, "A1: formal-demand at 2025-04-17T07:00:00Z: they were told on 2025-04-16"),
        (a_demand_after_two_reminders, "A1: a demand with fewer than three reminders"),
        (reminded_after_the_demand, "final-notice sent/sent at 2025-04-16T07:00:00Z: the demand was at 2025-04-15"),
    ],
)
def test_each_breach_is_found(tmp_path: Path, breach: Breach, words: str) -> None:
    out = Output()
    breach(out)
    found = out.breaches(tmp_path)
    assert any(words in one for one in found), found
