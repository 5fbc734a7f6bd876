"""What invoices and payments come to, told from domain-rules.md and from nothing of invoice-svc: oracle 13.

Every amount is minor units. A rule that refuses raises Refused with the status the API answers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import zip_longest


class Refused(Exception):  # noqa: N818
    def __init__(self, status: int) -> None:
        self.status = status


@dataclass
class Word:
    """A promise to pay, in force through `grace`; `towards`: what came in of it."""

    amount: int
    grace: date
    at: datetime
    status: str = "running"
    towards: int = 0


@dataclass
class Bill:
    """An issued invoice; `disputes`: what each open one contests, None for all of it."""

    number: str
    customer: str
    currency: str
    total: int
    due: date
    paid: int = 0
    void: bool = False
    disputes: dict[str, int | None] = field(default_factory=dict)
    words: list[Word] = field(default_factory=list)
    broken: int = 0
    hold: date | None = None  # its last day; date.max: until released

    @property
    def balance(self) -> int:
        return 0 if self.void else self.total - self.paid

    @property
    def status(self) -> str:
        if self.void:
            return "void"
        return "paid" if not self.balance else "partly_paid" if self.paid else "issued"

    @property
    def disputed(self) -> int:
        whole = None in self.disputes.values()
        return self.balance if whole else min(sum(filter(None, self.disputes.values())), self.balance)

    @property
    def promise(self) -> Word | None:
        return next((word for word in self.words if word.status == "running"), None)

    def need_open(self) -> None:
        if self.void or not self.balance:
            raise Refused(409)


@dataclass
class Money:
    """A payment; `puts`: to which invoice, how much, when."""

    customer: str
    currency: str
    amount: int
    puts: list[tuple[str, int, datetime]] = field(default_factory=list)
    reversed: bool = False

    @property
    def credit(self) -> int:
        return self.amount - sum(part for _, part, _ in self.puts)


@dataclass
class Books:
    bills: dict[str, Bill] = field(default_factory=dict)
    payments: dict[str, Money] = field(default_factory=dict)

    def credit(self, customer: str) -> dict[str, int]:
        """What is on account, by currency."""
        found: Counter[str] = Counter()
        for one in self.payments.values():
            if one.customer == customer and not one.reversed:
                found[one.currency] += one.credit
        return {currency: amount for currency, amount in found.items() if amount}

    def pay(
        self, reference: str, customer: str, currency: str, amount: int, at: datetime, parts: dict[str, int]
    ) -> None:
        money = Money(customer, currency, amount)
        self._put(money, parts, at)
        self.payments[reference] = money

    def allocate(self, reference: str, parts: dict[str, int], at: datetime) -> None:
        """Credit of a payment; `parts` without any: there is nothing to put it to."""
        money = self.payments[reference]
        if money.reversed or not money.credit:
            raise Refused(409)
        if not parts:
            raise Refused(409)
        self._put(money, parts, at)

    def _put(self, money: Money, parts: dict[str, int], at: datetime) -> None:
        for number in parts:
            if self.bills[number].customer != money.customer:
                raise Refused(404)
            self.bills[number].need_open()
            if self.bills[number].currency != money.currency:
                raise Refused(422)
        if sum(parts.values()) > money.credit:
            raise Refused(422)
        if any(part > self.bills[number].balance for number, part in parts.items()):
            raise Refused(422)
        for number, part in parts.items():
            bill = self.bills[number]
            bill.paid += part
            if word := bill.promise:
                word.towards += part
                word.status = "kept" if word.towards >= word.amount else "running"
            money.puts.append((number, part, at))

    def found(self, customer: str, currency: str, amount: int, named: set[str]) -> dict[str, int]:
        """Where money finds its way by itself: invoices named first, then the oldest due."""
        mine = [b for b in self.bills.values() if b.customer == customer and b.currency == currency and b.balance]
        parts: dict[str, int] = {}
        for bill in sorted(mine, key=lambda b: (b.number not in named, b.due, b.number)):
            part = min(bill.balance, amount - sum(parts.values()))
            if part:
                parts[bill.number] = part
        return parts

    def reverse(self, reference: str, today: date) -> None:
        payment = self.payments[reference]
        if payment.reversed:
            raise Refused(409)
        payment.reversed = True
        for number, part, _ in payment.puts:
            self.bills[number].paid -= part
        for number in {number for number, _, _ in payment.puts}:
            self._judge_again(self.bills[number], today)

    def _judge_again(self, bill: Bill, today: date) -> None:
        """A promise is kept only by money that stands."""
        for word, later in zip_longest(bill.words, bill.words[1:]):
            stands = sum(
                part
                for one in self.payments.values()
                for number, part, at in one.puts
                if number == bill.number and not one.reversed and at >= word.at and at.date() <= word.grace
            )
            if word.status == "running":
                word.towards = min(word.towards, stands)
            elif word.status == "kept" and stands < word.amount:
                if later and later.at.date() <= word.grace:
                    word.status = "replaced"
                elif today <= word.grace:
                    word.status, word.towards = "running", stands
                else:
                    word.status, bill.broken = "broken", bill.broken + 1

    def dispute(self, number: str, amount: int | None) -> None:
        """Raises what the API refuses; the caller adds the dispute under its id."""
        bill = self.bills[number]
        if bill.void or None in bill.disputes.values():
            raise Refused(409)
        at_stake = bill.balance or bill.total
        if amount is not None and amount > at_stake - sum(filter(None, bill.disputes.values())):
            raise Refused(422)

    def promise(self, number: str, amount: int | None, at: datetime) -> None:
        """The caller adds the last day of its grace."""
        bill = self.bills[number]
        bill.need_open()
        if amount is not None and amount > bill.balance:
            raise Refused(422)
        if word := bill.promise:
            word.status = "replaced"
        bill.words.append(Word(amount or bill.balance, date.max, at))

    def cancel(self, number: str) -> None:
        bill = self.bills[number]
        if bill.void or bill.paid:
            raise Refused(409)
        bill.void = True
        if word := bill.promise:
            word.status = "cancelled"
        bill.disputes.clear()

    def days_pass(self, today: date) -> None:
        """Graces and holds end with their last day."""
        for bill in self.bills.values():
            if (word := bill.promise) and word.grace < today:
                word.status, bill.broken = "broken", bill.broken + 1
            if bill.hold and bill.hold < today:
                bill.hold = None
