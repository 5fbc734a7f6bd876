"""Every row of a simulation's decisions.csv re-derived: what was due when, what held it back, and how it had to end.

A step is followed from its day's opening on. Whatever holds it back must be the rule of the gate that objects at that
moment, seen from the messages sent so far, and moves it to the first moment all of them allow; there it must go, or end
by something that came first. What was issued before the day a simulation is run from enters on that day, overdue as old
debt. Shares no code with Remit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from remit_testing.ledger_places import DAY, Place

if TYPE_CHECKING:
    from remit_testing.ledger_oracle import Checker

Row = dict[str, str]
BY_THE_CLOCK = {"outside-window", "minimum-gap", "contact-cap"}
FINAL = {"sent", "merged", "suppressed", "skipped"}
MOST_DAYS = 400
OLDEST = 180 * DAY  # what is overdue for longer when it comes in waits for a person


@dataclass(frozen=True)
class Contact:
    """One touch of a customer, with the addresses it went to that one person reads."""

    at: datetime
    on: date
    customer: str
    demand: bool
    addresses: frozenset[str]


@dataclass(frozen=True)
class Case:
    """One step of one invoice: the day it goes on by the calendar, `at` when the window opens then.

    `entered` is when an invoice came in that is older than the simulation; `passed_over` the rule by which a step is
    that lay before, `review` that the debt is too old to be chased before a person has seen it.
    """

    invoice: Row
    place: Place
    step: str
    offset: int
    day: date
    at: datetime
    paid: datetime | None
    demanded: datetime | None
    entered: datetime | None = None
    passed_over: str = ""
    review: bool = False

    @property
    def issued(self) -> date:
        return date.fromisoformat(self.invoice["issue_date"])

    @property
    def due(self) -> date:
        return date.fromisoformat(self.invoice["due_date"])

    @property
    def falls_due(self) -> bool:
        """By its dates, as of then: what moved to a day before the payment goes there, as nobody knows of one yet."""
        paid, falls_on = self.invoice["paid_date"], self.due + self.offset * DAY
        moved_before = self.day > self.issued and self.paid is not None and self.at < self.paid
        return self.issued < falls_on and (not paid or falls_on < date.fromisoformat(paid) or moved_before)


def explained(checker: Checker) -> Iterator[str]:
    """Every breach of decisions.csv, in words."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in checker.decisions:
        found[row["invoice_number"], row["step"]].append(row)
    whole = [
        (case, found.pop((case.invoice["invoice_number"], case.step), []))
        for case in (_case(checker, invoice, step) for invoice in checker.ledger for step in checker.steps_of(invoice))
    ]
    log = Log(checker.decisions, whole)
    for case, steps in whole:
        name = f"{case.invoice['invoice_number']} {case.step}"
        finals = [(row["outcome"], row["rule"]) for row in steps if row["outcome"] in FINAL]
        waits = case.invoice["disputed"] == "yes" or (case.review and not case.paid)
        if len(finals) > 1 or (not finals and case.falls_due and not waits):
            yield f"{name}: {len(finals)} final rows {finals}"
        for row, why in Explanation(checker, case, log).of(steps):
            yield f"{name} {row['outcome']}/{row['rule']} at {row['at']}: {why}"
    yield from (f"{' '.join(name)}: no such step" for name in found)


class Log:
    """All decisions: what else was decided of a customer at a moment, and which invoices were waiting then."""

    def __init__(self, decisions: list[Row], whole: list[tuple[Case, list[Row]]]) -> None:
        self._at: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in decisions:
            self._at[row["customer_id"], row["at"]].append(row)
        self._waits: dict[str, list[tuple[Case, Row]]] = defaultdict(list)
        for case, steps in whole:
            if steps and case.day > case.issued:
                self._waits[case.invoice["customer_id"]].append((case, steps[-1]))

    def beside(self, row: Row) -> list[Row]:
        return self._at[row["customer_id"], row["at"]]

    def waiting(self, customer: str, at: datetime) -> set[str]:
        """Invoices with a step that was due then and had not ended, or ended there by what came after the balance."""
        return {
            case.invoice["invoice_number"]
            for case, last in self._waits[customer]
            if case.at <= at
            and (
                at < (end := datetime.fromisoformat(last["at"]))
                or (at == end and last["rule"] in {"sent", "harder-step", "below-minimum", "no-channel"})
            )
        }


def _case(checker: Checker, invoice: Row, step: str) -> Case:
    number = invoice["invoice_number"]
    place = checker.places[invoice["customer_id"]]
    offset, due = place.rules.offsets[step], date.fromisoformat(invoice["due_date"])
    paid = place.begins(date.fromisoformat(invoice["paid_date"])) if invoice["paid_date"] else None
    demanded = checker.demanded.get(number)
    first = checker.first
    if first is None or date.fromisoformat(invoice["issue_date"]) >= first:
        day = place.shifted(due + offset * DAY, offset)
        return Case(invoice, place, step, offset, day, place.opening(day), paid, demanded)
    entered = place.business_begins(first)
    day, passed_over = _entering(place, due, offset, first)
    at = entered if passed_over else place.opening(day)
    review = due < first - OLDEST
    paid = max(paid, entered) if paid else None
    return Case(invoice, place, step, offset, day, at, paid, demanded, entered, passed_over, review)


def _entering(place: Place, due: date, offset: int, first: date) -> tuple[date, str]:
    """The day a step goes on of an invoice that enters on `first`, or the rule by which it is passed over.

    Overdue then, it enters with its first overdue step, and the later ones keep their distances from that day.
    """
    day = place.shifted(due + offset * DAY, offset)
    if due >= first:
        return day, "before-entry" if day < first else ""
    enters = min((one for one in place.rules.offsets.values() if one > 0), default=offset + 1)
    if offset < enters:
        return day, "old-debt"
    starts = max(first, due + enters * DAY)
    return place.shifted(starts + (offset - enters) * DAY, offset), ""


class Explanation:
    """Follows the rows of one step; `expected` is the moment it should go at, as far as the rows so far say."""

    def __init__(self, checker: Checker, case: Case, log: Log) -> None:
        self._checker, self._case, self._log = checker, case, log
        self._expected = case.at
        self._deferred = False

    def of(self, steps: list[Row]) -> Iterator[tuple[Row, str]]:
        for row in steps:
            if why := self._wrong(row, datetime.fromisoformat(row["at"])):
                yield row, why

    def _wrong(self, row: Row, at: datetime) -> str:
        """Why the row cannot be derived from ledger and messages; empty when it can."""
        case, outcome, rule = self._case, row["outcome"], row["rule"]
        if not case.falls_due:
            return "it never fell due"
        if case.invoice["disputed"] == "yes":
            return "" if (outcome, rule) == ("suppressed", "disputed") else "the invoice is disputed"
        if case.passed_over:
            return "" if (outcome, rule) == ("skipped", case.passed_over) else "it lay before its invoice came in"
        if case.review and rule != "paid":
            return "" if (outcome, rule) == ("deferred", "review") else "it waits for a person"
        if case.day <= case.issued:
            return "" if (outcome, rule) == ("skipped", "before-issue") else "its day is not after the issue day"
        if not case.at <= at <= self._expected and rule != "paid":
            return f"it was for {self._expected.isoformat()}"
        if rule != "paid" and case.paid and at >= case.paid:
            return f"the invoice was paid at {case.paid.isoformat()}"
        if rule != "escalated" and case.demanded and at > case.demanded and rule != "paid":
            return f"the demand was at {case.demanded.isoformat()}"
        checks = {
            ("deferred", rule): self._deferral,
            ("sent", "sent"): self._sent,
            ("merged", "harder-step"): self._merge,
            ("skipped", "too-late"): self._too_late,
            ("suppressed", "paid"): self._paid,
            ("suppressed", "escalated"): self._escalated,
            ("suppressed", "no-channel"): self._no_channel,
            ("suppressed", "below-minimum"): self._below_minimum,
        }
        check = checks.get((outcome, rule))
        return check(row, at) if check else "nothing in the ledger explains that rule"

    def _deferral(self, row: Row, at: datetime) -> str:
        if row["rule"] not in BY_THE_CLOCK:
            return "nothing in the ledger explains that rule"
        if not self._below_minimum(row, at):
            return "it is below the minimum balance"
        if not self._can_go() and not self._beside_harder(row, "deferred"):
            return "no channel could be reached"
        contacts = self._checker.contacts_of(row["customer_id"])
        before = [one.on for one in contacts if one.at < at]
        # A demand goes before the reminders of its moment; customers who share an address are decided in turn.
        others = [one.on for one in contacts if one.at == at and (one.demand or one.customer != row["customer_id"])]
        derived = [(_objection(self._case.place, at, days), days) for days in (before, before + others)]
        days = next((days for rule, days in derived if rule == row["rule"]), None)
        if days is None:
            return f"derived: {' or '.join({rule or 'nothing holds it back' for rule, _ in derived})}"
        self._expected, self._deferred = _first_moment(self._case.place, at, days), True
        return ""

    def _sent(self, row: Row, at: datetime) -> str:
        if at != self._expected:
            return f"it was for {self._expected.isoformat()}"
        if not self._below_minimum(row, at):
            return "it is below the minimum balance"
        return "" if self._can_go() else "no channel can be reached"

    def _merge(self, row: Row, at: datetime) -> str:
        if at != self._expected:
            return f"it was for {self._expected.isoformat()}"
        return "" if self._beside_harder(row, "sent") else "no harder step of the invoice was sent with it"

    def _too_late(self, row: Row, at: datetime) -> str:
        place, case = self._case.place, self._case
        if case.offset >= 0 or not self._deferred:
            return "only an upcoming step that was held back can be too late"
        return "" if min(place.date(at), place.date(self._expected)) >= case.due else "it could go before the due date"

    def _paid(self, row: Row, at: datetime) -> str:
        if at != self._case.paid:
            return f"paid at {self._case.paid}"
        return "" if at <= self._expected else f"it was for {self._expected.isoformat()}"

    def _escalated(self, row: Row, at: datetime) -> str:
        return "" if self._case.demanded and self._case.demanded <= at else "no demand before it"

    def _no_channel(self, row: Row, at: datetime) -> str:
        if self._can_go():
            return "it can be reached"
        return "" if at == self._expected else f"it was for {self._expected.isoformat()}"

    def _below_minimum(self, row: Row, at: datetime) -> str:
        """Of everything due at that moment in its currency, once per invoice."""
        currency, checker = self._case.invoice["currency"], self._checker
        due = self._log.waiting(row["customer_id"], at)
        total = sum(checker.balance_minor(one) for one in due if checker.invoices[one]["currency"] == currency)
        least = self._case.place.rules.minimum.get(currency, 0)
        return "" if total < least else f"{total} is not below {least}"

    def _can_go(self) -> bool:
        """On one of the step's own channels."""
        channels = self._case.place.rules.channels[self._case.step]
        return bool(self._checker.reachable(self._case.invoice["customer_id"]).intersection(channels))

    def _beside_harder(self, row: Row, outcome: str) -> bool:
        """Whether a harder step of the invoice has a row of that outcome at the same moment."""
        return any(
            other["invoice_number"] == row["invoice_number"]
            and other["outcome"] == outcome
            and self._case.place.rules.offsets[other["step"]] > self._case.offset
            for other in self._log.beside(row)
        )


def _objection(place: Place, at: datetime, contacts: list[date]) -> str:
    """Window, gap, cap: the first that objects; empty for none."""
    return _too_often(place, place.date(at), contacts) if place.is_open(at) else "outside-window"


def _too_often(place: Place, day: date, contacts: list[date]) -> str:
    rules = place.rules
    if contacts and day < max(contacts) + rules.gap * DAY:
        return "minimum-gap"
    counted = sum(day - rules.cap_days * DAY < one <= day for one in contacts)
    return "contact-cap" if rules.cap is not None and counted >= rules.cap else ""


def _first_moment(place: Place, at: datetime, contacts: list[date]) -> datetime:
    """The first opening after `at` that window, gap and cap allow."""
    days = (place.date(at) + n * DAY for n in range(MOST_DAYS))
    return next(
        place.opening(day)
        for day in days
        if place.allows(day) and place.opening(day) > at and not _too_often(place, day, contacts)
    )
