"""What a simulation's output files must obey, re-derived from the ledger alone; shares no code with Remit.

`expected_steps` is the arithmetic of a policy that shifts, merges and caps nothing. `Checker` holds the default
policies' rules against messages.csv, decisions.csv and escalations.csv and lists every breach in words.
"""

from __future__ import annotations

import csv
import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import holidays

Row = dict[str, str]
DAY = timedelta(days=1)
FOLLOW_UP = {"upcoming", "due", "overdue", "demand"}
FINAL = {"sent", "merged", "suppressed", "skipped"}


def rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def expected_steps(ledger: list[Row], offsets: dict[str, int], until: date) -> set[tuple[str, str, date]]:
    """(invoice, step, day) of every step that goes when nothing moves it: after issue, before payment."""
    expected = set()
    for row in ledger:
        issued, due = date.fromisoformat(row["issue_date"]), date.fromisoformat(row["due_date"])
        paid = date.fromisoformat(row["paid_date"]) if row["paid_date"] else date.max
        for step, offset in offsets.items():
            day = due + offset * DAY
            if row["disputed"] != "yes" and issued < day < paid and day <= until:
                expected.add((row["invoice_number"], step, day))
    return expected


@dataclass(frozen=True)
class Rules:
    """The part of a default policy a reader of the output can check."""

    offsets: dict[str, int]
    channels: tuple[str, ...]
    opens: time
    closes: time
    gap: int
    cap: int
    cap_days: int = 7


EMAIL, PHONE, PAPER = "email", "email+sms", "email+letter"

BUSINESS = Rules(
    {"courtesy": -7, "tomorrow": -1, "day-after": 1, "second": 7, "third": 14, "final-notice": 30},
    (EMAIL, EMAIL, EMAIL, PHONE, PHONE, "email+sms+letter"),
    time(9),
    time(17),
    1,
    3,
)
INDIVIDUAL = Rules(
    {"minus-5": -5, "minus-2": -2, "due": 0, "plus-1": 1, "plus-7": 7, "plus-14": 14, "plus-30": 30},
    (EMAIL, EMAIL, EMAIL, PHONE, PHONE, PHONE, PHONE),
    time(9),
    time(19),
    1,
    3,
)
GOVERNMENT = Rules(
    {"minus-14": -14, "minus-7": -7, "plus-1": 1, "plus-15": 15, "plus-30": 30, "plus-45": 45},
    (EMAIL, EMAIL, EMAIL, EMAIL, PAPER, PAPER),
    time(9),
    time(16),
    3,
    2,
)
DEFAULTS = {"business": BUSINESS, "individual": INDIVIDUAL, "government": GOVERNMENT}


@cache
def _holidays(country: str) -> holidays.HolidayBase:
    return holidays.country_holidays(country)


def working_day(country: str, day: date) -> bool:
    return bool(_holidays(country).is_working_day(day))


def shifted(country: str, day: date, offset: int) -> date:
    while not working_day(country, day):
        day += -DAY if offset <= 0 else DAY
    return day


@dataclass
class Checker:
    """Holds one simulation's output against its ledger. `rules` by profile; `until` is the last simulated day."""

    ledger: list[Row]
    folder: Path
    rules: dict[str, Rules]
    until: date
    breaches: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.messages = rows(self.folder / "messages.csv")
        self.decisions = rows(self.folder / "decisions.csv")
        self.escalations = rows(self.folder / "escalations.csv")
        self.invoices = {row["invoice_number"]: row for row in self.ledger}
        self.customers = {row["customer_id"]: row for row in self.ledger}
        self.finals: dict[tuple[str, str], list[Row]] = defaultdict(list)
        self.deferred: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in self.decisions:
            table = self.finals if row["outcome"] in FINAL else self.deferred
            table[row["invoice_number"], row["step"]].append(row)
        self.demanded = {row["invoice_number"]: row["at"] for row in self.escalations if row["rung"] == "formal-demand"}

    def run(self) -> list[str]:
        """Every breach found, in words; empty when the output keeps all rules."""
        self._messages()
        self._contacts()
        self._finals()
        self._sent_rows()
        self._escalations()
        return self.breaches

    def share_sent_or_merged(self) -> float:
        """Of the steps of undisputed invoices that fell due, the share sent or merged."""
        outcomes = [self.finals[key][0]["outcome"] for key in self._fell_due() if self.finals.get(key)]
        return sum(outcome in ("sent", "merged") for outcome in outcomes) / max(len(outcomes), 1)

    def _rules(self, customer: str) -> Rules:
        return self.rules[self.customers[customer]["profile"] or "individual"]

    def _follow_ups(self) -> list[Row]:
        return [row for row in self.messages if row["stage"] in FOLLOW_UP]

    def _messages(self) -> None:
        per_day: Counter[tuple[str, str, date]] = Counter()
        for row in self._follow_ups():
            customer, rules = self.customers[row["customer_id"]], self._rules(row["customer_id"])
            local = datetime.fromisoformat(row["sent_at"]).astimezone(ZoneInfo(customer["timezone"]))
            if local.isoformat() != datetime.fromisoformat(row["local_time"]).isoformat():
                self.breaches.append(f"local_time {row['local_time']} is not {local.isoformat()}")
            what = f"{row['stage']} {row['step']} to {row['customer_id']} at {local.isoformat()}"
            if not working_day(customer["country"], local.date()):
                self.breaches.append(f"{what}: a day off in {customer['country']}")
            if not rules.opens <= local.time().replace(tzinfo=None) < rules.closes:
                self.breaches.append(f"{what}: outside {rules.opens}-{rules.closes}")
            per_day[row["customer_id"], row["channel"], local.date()] += 1
            for number in row["invoice_numbers"].split(";"):
                self._message_item(what, number, local.date())
        self.breaches += [f"{count} messages to {key}" for key, count in per_day.items() if count > 1]

    def _message_item(self, what: str, number: str, day: date) -> None:
        invoice = self.invoices[number]
        if invoice["disputed"] == "yes":
            self.breaches.append(f"{what}: invoice {number} is disputed")
        if invoice["paid_date"] and day >= date.fromisoformat(invoice["paid_date"]):
            self.breaches.append(f"{what}: invoice {number} was paid on {invoice['paid_date']}")

    def _contact_days(self) -> dict[str, list[date]]:
        touches: dict[str, set[datetime]] = defaultdict(set)
        for row in self._follow_ups():
            touches[row["customer_id"]].add(datetime.fromisoformat(row["local_time"]))
        return {customer: sorted(at.date() for at in when) for customer, when in touches.items()}

    def _contacts(self) -> None:
        for customer, days in self._contact_days().items():
            rules = self._rules(customer)
            for before, after in itertools.pairwise(days):
                if (after - before).days < rules.gap:
                    self.breaches.append(f"{customer}: contacts on {before} and {after}, gap {rules.gap}")
            for index, first in enumerate(days):
                within = [day for day in days[index:] if day < first + rules.cap_days * DAY]
                if len(within) > rules.cap:
                    self.breaches.append(f"{customer}: {len(within)} contacts in {rules.cap_days} days from {first}")

    def _fell_due(self) -> list[tuple[str, str]]:
        due_steps = []
        for row in self.ledger:
            offsets = self.rules[row["profile"] or "individual"].offsets
            due_steps += [(n, s) for n, s, _ in expected_steps([row], offsets, self.until)]
        return due_steps

    def _finals(self) -> None:
        for number, step in self._fell_due():
            finals = self.finals.get((number, step), [])
            if len(finals) == 1 or (not finals and self._still_waiting(number, step)):
                continue
            self.breaches.append(f"{number} {step}: {len(finals)} final rows")
        for (number, step), finals in self.finals.items():
            if len(finals) > 1:
                self.breaches.append(f"{number} {step}: {[(f['outcome'], f['rule']) for f in finals]}")
            for row in finals:
                if row["outcome"] != "sent" and (why := self._wrong_rule(number, step, row)):
                    self.breaches.append(f"{number} {step} {row['outcome']}/{row['rule']} at {row['at']}: {why}")

    def _still_waiting(self, number: str, step: str) -> bool:
        """Its moment lies at or past the horizon: deferred there, or moved past it by the calendar."""
        invoice = self.invoices[number]
        offset = self._rules(invoice["customer_id"]).offsets[step]
        day = shifted(invoice["country"], date.fromisoformat(invoice["due_date"]) + offset * DAY, offset)
        deferred = self.deferred.get((number, step), [])
        return day > self.until or any(
            datetime.fromisoformat(row["at"]).date() > self.until - 10 * DAY for row in deferred
        )

    def _wrong_rule(self, number: str, step: str, row: Row) -> str:
        """Why the row's rule cannot be derived from the ledger; empty when it can."""
        invoice = self.invoices[number]
        zone = ZoneInfo(invoice["timezone"])
        offset = self._rules(invoice["customer_id"]).offsets[step]
        due, issued = date.fromisoformat(invoice["due_date"]), date.fromisoformat(invoice["issue_date"])
        day = shifted(invoice["country"], due + offset * DAY, offset)
        on = datetime.fromisoformat(row["at"]).astimezone(zone).date()
        rule = (row["outcome"], row["rule"])
        held_back = bool(self.deferred.get((number, step)))
        if rule == ("skipped", "before-issue"):
            return "" if offset <= 0 and day <= issued else f"it moves to {day}, after the issue day"
        if rule == ("skipped", "too-late"):
            return "" if offset < 0 and (on >= due or held_back) else "it could go before the due date"
        if rule == ("merged", "harder-step"):
            return self._wrong_merge(number, step, offset, row)
        if rule == ("suppressed", "paid"):
            paid = date.fromisoformat(invoice["paid_date"]) if invoice["paid_date"] else date.max
            return "" if on >= paid and (day >= paid or held_back) else f"paid on {paid}, the step's day is {day}"
        if rule == ("suppressed", "disputed"):
            return "" if invoice["disputed"] == "yes" else "not disputed"
        if rule == ("suppressed", "escalated"):
            at = self.demanded.get(number)
            return "" if at and at <= row["at"] else "no demand before it"
        if rule == ("suppressed", "no-channel"):
            return "" if not self._reachable(invoice, step) else "it can be reached"
        return "a rule the ledger does not explain"

    def _reachable(self, invoice: Row, step: str) -> bool:
        """On one of the step's own channels: an address, and for SMS consent too."""
        rules = self._rules(invoice["customer_id"])
        channels = rules.channels[list(rules.offsets).index(step)].split("+")
        sms = invoice["phone"] and invoice.get("sms_consent") == "yes"
        ways = {"email": invoice["email"], "sms": sms, "letter": invoice.get("address")}
        return any(ways[channel] for channel in channels)

    def _wrong_merge(self, number: str, step: str, offset: int, row: Row) -> str:
        offsets = self._rules(self.invoices[number]["customer_id"]).offsets
        for other, its_offset in offsets.items():
            finals = self.finals.get((number, other), [])
            if its_offset > offset and any(final["at"] >= row["at"] for final in finals):
                return ""
        return f"no harder step than {step} ended at or after it"

    def _sent_rows(self) -> None:
        told = Counter(
            (number, row["sent_at"]) for row in self._distinct_touches() for number in row["invoice_numbers"].split(";")
        )
        logged = Counter((row["invoice_number"], row["at"]) for row in self.decisions if row["outcome"] == "sent")
        for key, count in (told - logged).items():
            self.breaches.append(f"message lists {key} but no step is logged as sent ({count})")
        for key, count in (logged - told).items():
            self.breaches.append(f"step logged as sent but no message lists {key} ({count})")

    def _distinct_touches(self) -> list[Row]:
        """One row per touch: the channels of a touch leave at one moment with the same invoices."""
        reminders = [row for row in self._follow_ups() if row["stage"] != "demand"]
        return list({(r["customer_id"], r["sent_at"], r["invoice_numbers"]): r for r in reminders}.values())

    def _escalations(self) -> None:
        order = ["account-manager", "formal-demand", "suspension", "collections-agency", "legal"]
        taken: dict[str, list[str]] = defaultdict(list)
        for row in sorted(self.escalations, key=lambda r: r["at"]):
            number, rung = row["invoice_number"], row["rung"]
            if taken[number] != order[: order.index(rung)]:
                self.breaches.append(f"{number}: {rung} after {taken[number]}")
            taken[number].append(rung)
            if rung == "formal-demand" and self._reminders_before(number, row["at"]) < 3:
                self.breaches.append(f"{number}: demand after {self._reminders_before(number, row['at'])} reminders")
        for row in self.messages:
            if row["stage"] == "demand":
                for number in row["invoice_numbers"].split(";"):
                    if number not in self.demanded or self._reminders_before(number, row["sent_at"]) < 3:
                        self.breaches.append(f"{number}: a demand went out that no rung and three reminders back")

    def _reminders_before(self, number: str, at: str) -> int:
        due = date.fromisoformat(self.invoices[number]["due_date"])
        moments = {
            row["sent_at"]
            for row in self._follow_ups()
            if row["stage"] != "demand"
            and number in row["invoice_numbers"].split(";")
            and row["sent_at"] < at
            and datetime.fromisoformat(row["local_time"]).date() > due
        }
        return len(moments)
