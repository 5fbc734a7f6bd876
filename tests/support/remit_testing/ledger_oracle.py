"""What a simulation's output files must obey, re-derived from the ledger alone; shares no code with Remit.

`expected_steps` is the arithmetic of a policy that shifts, merges and caps nothing. `Checker` holds a policy's rules
against messages.csv, decisions.csv and escalations.csv and lists every breach in words.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from itertools import groupby
from pathlib import Path

from remit_testing.ledger_decisions import Contact, Row, explained
from remit_testing.ledger_places import DAY, Place, Rules

FOLLOW_UP = {"upcoming", "due", "overdue", "demand"}
RUNGS = ("account-manager", "formal-demand", "suspension", "collections-agency", "legal")
# Per rung of the shipped ladder: days overdue (government: 50 to the demand), reminders, days after the formal demand.
LADDER = {
    "account-manager": (14, 2, 0),
    "formal-demand": (30, 3, 0),
    "suspension": (45, 3, 10),
    "collections-agency": (60, 3, 14),
    "legal": (90, 3, 0),
}
DECIMALS = {"JPY": 0, "CLP": 0, "KWD": 3}


def rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def expected_steps(ledger: list[Row], offsets: dict[str, int]) -> set[tuple[str, str, date]]:
    """(invoice, step, day) of every step that falls due: after issue, before payment."""
    expected = set()
    for row in ledger:
        issued, due = date.fromisoformat(row["issue_date"]), date.fromisoformat(row["due_date"])
        paid = date.fromisoformat(row["paid_date"]) if row["paid_date"] else date.max
        for step, offset in offsets.items():
            if row["disputed"] != "yes" and issued < due + offset * DAY < paid:
                expected.add((row["invoice_number"], step, due + offset * DAY))
    return expected


@dataclass
class Checker:
    """Holds the output of a simulation that ran to the last thing due against its ledger. `rules` by profile.

    `first` is the day it was run from: what was paid before it is not in it, and older invoices enter on it.
    """

    ledger: list[Row]
    folder: Path
    rules: dict[str, Rules]
    first: date | None = None
    breaches: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.first:
            day = self.first.isoformat()
            self.ledger = [row for row in self.ledger if not row["paid_date"] or row["paid_date"] >= day]
        self.messages = rows(self.folder / "messages.csv")
        self.decisions = rows(self.folder / "decisions.csv")
        self.escalations = rows(self.folder / "escalations.csv")
        self.invoices = {row["invoice_number"]: row for row in self.ledger}
        self.customers = {row["customer_id"]: row for row in reversed(self.ledger)}
        self.places = {
            name: Place(row["country"], row["timezone"], self.rules[row["profile"] or "individual"])
            for name, row in self.customers.items()
        }
        self.demanded = {
            row["invoice_number"]: datetime.fromisoformat(row["at"])
            for row in self.escalations
            if row["rung"] == "formal-demand"
        }

    def run(self) -> list[str]:
        """Every breach found, in words; empty when the output keeps all rules."""
        for row in self.follow_ups:
            self._message(row)
        self._contacts()
        self._touches()
        self.breaches += explained(self)
        self._told_and_logged()
        self._escalations()
        return self.breaches

    def share_sent_or_merged(self) -> float:
        """Of the steps of undisputed invoices that fell due, the share sent or merged."""
        gone = {(row["invoice_number"], row["step"]) for row in self.decisions if row["outcome"] in ("sent", "merged")}
        due = self.fell_due()
        return sum(key in gone for key in due) / max(len(due), 1)

    @cached_property
    def follow_ups(self) -> list[Row]:
        return [row for row in self.messages if row["stage"] in FOLLOW_UP]

    @cached_property
    def touches(self) -> list[list[Row]]:
        """The messages of each touch: its channels leave at one moment with the same invoices."""

        def key(row: Row) -> tuple[str, ...]:
            return row["sent_at"], row["customer_id"], row["stage"], row["step"], row["invoice_numbers"]

        return [list(group) for _, group in groupby(sorted(self.follow_ups, key=key), key)]

    @cached_property
    def contacts(self) -> list[Contact]:
        found = []
        for touch in self.touches:
            customer, at = touch[0]["customer_id"], datetime.fromisoformat(touch[0]["sent_at"])
            whose = {"email": self.customers[customer]["email"].lower(), "sms": self.customers[customer]["phone"]}
            reached = frozenset(whose[row["channel"]] for row in touch if row["channel"] in whose)
            on = self.places[customer].date(at)
            found.append(Contact(at, on, customer, touch[0]["stage"] == "demand", reached))
        return found

    def fell_due(self) -> set[tuple[str, str]]:
        return {(number, step) for row in self.ledger for number, step, _ in expected_steps([row], self.steps_of(row))}

    def steps_of(self, invoice: Row) -> dict[str, int]:
        """The steps of its policy with their offsets."""
        return self.places[invoice["customer_id"]].rules.offsets

    def contacts_of(self, customer: str) -> list[Contact]:
        """Theirs, and others' that went to one of their addresses."""
        row = self.customers[customer]
        addresses = {row["email"].lower(), row["phone"]} - {""}
        return [one for one in self.contacts if one.customer == customer or addresses & one.addresses]

    def balance_minor(self, number: str) -> int:
        row = self.invoices[number]
        return int(Decimal(row["amount"]).scaleb(DECIMALS.get(row["currency"], 2)))

    def _message(self, row: Row) -> None:
        place = self.places[row["customer_id"]]
        at = datetime.fromisoformat(row["sent_at"])
        local = at.astimezone(place.zones[0])
        what = f"{row['stage']} {row['step']} to {row['customer_id']} at {local.isoformat()}"
        if local.isoformat() != row["local_time"]:
            self.breaches.append(f"{what}: local_time says {row['local_time']}")
        if not place.allows(local.date()):
            self.breaches.append(f"{what}: a day off in {place.country}")
        elif not place.is_open(at):
            self.breaches.append(f"{what}: outside {place.rules.opens}-{place.rules.closes}")
        listed = zip(
            *(row[name].split(";") for name in ("invoice_numbers", "amounts_minor", "currencies")), strict=True
        )
        for number, amount, currency in listed:
            invoice = self.invoices[number]
            if invoice["disputed"] == "yes":
                self.breaches.append(f"{what}: invoice {number} is disputed")
            if invoice["paid_date"] and local.date() >= date.fromisoformat(invoice["paid_date"]):
                self.breaches.append(f"{what}: invoice {number} was paid on {invoice['paid_date']}")
            if (int(amount), currency) != (self.balance_minor(number), invoice["currency"]):
                self.breaches.append(f"{what}: invoice {number} is not about {amount} {currency}")

    def _contacts(self) -> None:
        """At most one message per customer, channel and day; gap and cap, also per address that is shared."""
        per_day = Counter(
            (row["customer_id"], row["channel"], row["local_time"].partition("T")[0]) for row in self.follow_ups
        )
        self.breaches += [f"{count} messages to {key}" for key, count in per_day.items() if count > 1]
        for one in self.contacts:
            rules = self.places[one.customer].rules
            earlier = [other.on for other in self.contacts_of(one.customer) if other.at <= one.at and other is not one]
            if earlier and (one.on - max(earlier)).days < rules.gap:
                self.breaches.append(f"{one.customer}: contacts on {max(earlier)} and {one.on}, gap {rules.gap}")
            within = sum(one.on - rules.cap_days * DAY < day for day in [*earlier, one.on])
            if rules.cap is not None and within > rules.cap:
                self.breaches.append(f"{one.customer}: {within} contacts in the {rules.cap_days} days to {one.on}")

    def _touches(self) -> None:
        """Each reminder is led by its hardest step, of the stage of its day, on every channel its steps can go on."""
        sent = defaultdict(dict[str, str])
        for row in self.decisions:
            if row["outcome"] == "sent":
                sent[row["at"], row["customer_id"]][row["invoice_number"]] = row["step"]
        for touch in self.touches:
            first = touch[0]
            steps = sent[first["sent_at"], first["customer_id"]]
            items = [(number, steps[number]) for number in first["invoice_numbers"].split(";") if number in steps]
            if first["stage"] == "demand" or not items:  # what is missing is told below
                continue
            what = f"{first['step']} to {first['customer_id']} at {first['sent_at']}"
            rules, on = self.places[first["customer_id"]].rules, date.fromisoformat(first["local_time"][:10])
            _, due, _, step = min((-rules.offsets[s], self.invoices[n]["due_date"], n, s) for n, s in items)
            stage = "upcoming" if on.isoformat() < due else "due" if on.isoformat() == due else "overdue"
            if (first["step"], first["stage"]) != (step, stage):
                self.breaches.append(f"{what} is {first['stage']}: {step} leads, {stage}")
            channels = {channel for _, s in items for channel in rules.channels[s]}
            wanted = sorted(channels & self.reachable(first["customer_id"]))
            if sorted(row["channel"] for row in touch) != wanted:
                self.breaches.append(f"{what} went by {[row['channel'] for row in touch]}, not by {wanted}")

    def reachable(self, customer: str) -> set[str]:
        """The channels with an address, for SMS with consent too."""
        row = self.customers[customer]
        sms = row["phone"] and row.get("sms_consent") == "yes"
        ways = {"email": row["email"], "sms": sms, "letter": row.get("address")}
        return {channel for channel, way in ways.items() if way}

    def _told_and_logged(self) -> None:
        told = Counter(
            (number, touch[0]["sent_at"])
            for touch in self.touches
            if touch[0]["stage"] != "demand"
            for number in touch[0]["invoice_numbers"].split(";")
        )
        logged = Counter((row["invoice_number"], row["at"]) for row in self.decisions if row["outcome"] == "sent")
        self.breaches += [f"message lists {key} but no step is logged as sent" for key in told - logged]
        self.breaches += [f"step logged as sent but no message lists {key}" for key in logged - told]

    def _escalations(self) -> None:
        taken: dict[str, list[str]] = defaultdict(list)
        for row in sorted(self.escalations, key=lambda r: (r["at"], RUNGS.index(r["rung"]))):
            number, rung = row["invoice_number"], row["rung"]
            if taken[number] != list(RUNGS[: RUNGS.index(rung)]):
                self.breaches.append(f"{number}: {rung} after {taken[number]}")
            taken[number].append(rung)
            self._rung(row)
        for row in self.follow_ups:
            if row["stage"] == "demand" and row["invoice_numbers"] not in self.demanded:
                self.breaches.append(f"{row['invoice_numbers']}: a demand went out that no rung asked for")
            if row["stage"] == "demand" and self._reminders_before(row["invoice_numbers"], row["sent_at"]) < 3:
                self.breaches.append(f"{row['invoice_numbers']}: a demand with fewer than three reminders")

    def _rung(self, row: Row) -> None:
        number, rung, at = row["invoice_number"], row["rung"], datetime.fromisoformat(row["at"])
        invoice, place = self.invoices[number], self.places[row["customer_id"]]
        overdue = (place.date(at) - date.fromisoformat(invoice["due_date"])).days
        reminders = self._reminders_before(number, row["at"])
        stated = (int(row["days_overdue"]), int(row["reminders_sent"]), int(row["balance_minor"]))
        what = f"{number}: {rung} at {row['at']}"
        if stated != (overdue, reminders, self.balance_minor(number)):
            self.breaches.append(f"{what} states {stated}, not {(overdue, reminders, self.balance_minor(number))}")
        days, least, after = LADDER[rung]
        if rung == "formal-demand" and invoice["profile"] == "government":
            days = 50
        if overdue < days or reminders < least:
            self.breaches.append(f"{what}: {overdue} days overdue after {reminders} reminders")
        demanded = self.demanded.get(number)
        if after and (not demanded or (place.date(at) - place.date(demanded)).days < after):
            self.breaches.append(f"{what}: the demand was at {demanded}")
        if rung == "formal-demand" and (place.date(at) - self._last_told(number, row["at"])).days < 5:
            self.breaches.append(f"{what}: they were told on {self._last_told(number, row['at'])}")
        if invoice["disputed"] == "yes" or (invoice["paid_date"] and at >= place.begins(_date(invoice, "paid_date"))):
            self.breaches.append(f"{what}: disputed or paid")

    def _reminders_before(self, number: str, at: str) -> int:
        """Distinct reminders of the invoice after its due date, up to that moment."""
        due = self.invoices[number]["due_date"]
        return sum(
            number in touch[0]["invoice_numbers"].split(";")
            and touch[0]["stage"] != "demand"
            and touch[0]["sent_at"] <= at
            and touch[0]["local_time"][:10] > due
            for touch in self.touches
        )

    def _last_told(self, number: str, at: str) -> date:
        """The day of the last reminder that named the invoice."""
        reminders = [touch[0] for touch in self.touches if touch[0]["stage"] != "demand"]
        named = [row for row in reminders if number in row["invoice_numbers"].split(";")]
        days = [date.fromisoformat(row["local_time"][:10]) for row in named if row["sent_at"] <= at]
        return max(days, default=date.min)


def _date(row: Row, name: str) -> date:
    return date.fromisoformat(row[name])
