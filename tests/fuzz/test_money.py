"""Invariant 13: whatever is paid, paid twice, too much, on account, taken back, disputed or promised, sums are exact.

A state machine does to invoice-svc and to a model of a hundred lines what people do, in any order, and compares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import seed as seeded_by
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from remit_testing.fixtures import MakeDatabase
from remit_testing.invoices_alone import World, invoicing
from remit_testing.money_model import Bill, Books, Refused
from remit_testing.threads import Ask, in_thread, seeded

from remit_events.invoices import PaymentEvent
from remit_service.service import Service

CUSTOMERS = ("A", "B")

amounts = st.integers(1, 60) | st.integers(1, 60) | st.integers(1, 10**15)
some_bill, some_payment, some_dispute = st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)


@pytest.fixture
async def service(make_database: MakeDatabase) -> AsyncIterator[Service]:
    async with invoicing(make_database) as made:
        yield made


async def test_money_is_exact(service: Service, rounds: Any, seed: int, invariant: Any) -> None:
    played: Counter[str] = Counter()
    worlds, steps = rounds(full=300, short=8), rounds(full=60, short=25)

    def play(ask: Ask) -> None:
        class Here(Machine):
            world = World(service, ask, played)

        machine = seeded_by(seed)(Here)
        run_state_machine_as_test(machine, settings=seeded(worlds, stateful_step_count=steps))

    await in_thread(play)
    everything = {
        "paid",
        "over",
        "again",
        "reversed",
        "allocated",
        "disputed",
        "resolved",
        "promised",
        "held",
        "voided",
    }
    assert everything <= set(played) or worlds < 100, f"never played: {everything - set(played)}"
    assert {"paid", "over"} <= set(played)
    invariant(13, "money is exact").held(rounds=worlds, **dict(sorted(played.items())), differences=0)


class Machine(RuleBasedStateMachine):
    """Does the same to both; `invoices` are ids by number."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.books = Books()
        self.invoices: dict[str, str] = {}
        self.ids: dict[str, str] = {}
        self.bodies: dict[str, dict[str, Any]] = {}
        self.count = 0
        self.world.begin()

    def teardown(self) -> None:
        try:
            self.events_say_the_same()
        finally:
            self.world.end()

    @initialize()
    def customers(self) -> None:
        for name in CUSTOMERS:
            body = {"external_id": name, "name": f"Customer {name}", "country": "DE", "profile": "business"}
            assert self.world.send("POST", "/v1/customers", body)[0] == 201
            for amount in (40, 100):
                self.issue(name, "EUR", amount, 1)

    @rule(
        customer=st.sampled_from(CUSTOMERS),
        currency=st.sampled_from(["EUR", "EUR", "JPY"]),
        amount=amounts,
        days=st.integers(0, 3),
    )
    def issue(self, customer: str, currency: str, amount: int, days: int) -> None:
        number = f"R-{self._next():04}"
        due = self.world.today + timedelta(days=days)
        body = {
            "customer_external_id": customer,
            "number": number,
            "issue_date": self.world.today.isoformat(),
            "due_date": due.isoformat(),
            "amount_minor": amount,
            "currency": currency,
        }
        self.invoices[number] = self.expect(201, *self.world.send("POST", "/v1/invoices", body))["id"]
        self.books.bills[number] = Bill(number, customer, currency, amount, due)

    @rule(which=some_bill, amount=amounts, settle=st.booleans(), exact=st.booleans())
    def pay_one(self, which: int, amount: int, settle: bool, exact: bool) -> None:
        """All to one invoice; what is too much is credit."""
        if bill := self.bill(which):
            amount = bill.balance if settle or (exact and bill.balance) else amount
            sums = {"settle": True} if settle else {"amount_minor": amount, "currency": bill.currency}
            parts = {bill.number: min(amount, bill.balance)}
            self.pay(bill.customer, bill.currency, amount, parts, {"invoice_id": self.invoices[bill.number]} | sums)

    @rule(customer=st.sampled_from(CUSTOMERS), amount=amounts, named=st.lists(some_bill, max_size=2))
    def pay_freely(self, customer: str, amount: int, named: list[int]) -> None:
        """To what the reference names, then to what has been due longest."""
        bills = [bill for one in named if (bill := self.bill(one))]
        numbers = {bill.number for bill in bills}
        body = {"customer_external_id": customer, "amount_minor": amount, "currency": "EUR"}
        parts = self.books.found(customer, "EUR", amount, numbers)
        self.pay(customer, "EUR", amount, parts, body, " ".join(sorted(numbers)))

    @rule(parts=st.dictionaries(some_bill, amounts, min_size=1, max_size=3), more=st.integers(-1, 50))
    def pay_as_said(self, parts: dict[int, int], more: int) -> None:
        """By an allocation that may be more than is owed, or more than was paid."""
        said = {bill.number: part for one, part in parts.items() if (bill := self.bill(one))}
        whose = {self.books.bills[number].customer for number in said}
        amount = sum(said.values()) + more
        if len(whose) == 1 and 0 < amount <= 10**15:
            [customer] = whose
            currency = self.books.bills[next(iter(said))].currency
            shares = [{"invoice_id": self.invoices[number], "amount_minor": part} for number, part in said.items()]
            body = {"amount_minor": amount, "currency": currency, "allocations": shares}
            self.pay(customer, currency, amount, said, body)

    def pay(
        self, customer: str, currency: str, amount: int, parts: dict[str, int], body: dict[str, Any], names: str = ""
    ) -> None:
        reference = f"{names} #{self._next()}".strip()
        body = body | {"reference": reference, "provider": "bank"}
        status, said = self.world.send("POST", "/v1/payments", body)
        try:
            self.books.pay(reference, customer, currency, amount, self.world.now, parts)
        except Refused as refused:
            self.expect(refused.status, status, said)
            return
        self.expect(201, status, said)
        assert {one["invoice_number"]: one["amount_minor"] for one in said["allocations"]} == parts
        self.ids[reference], self.bodies[reference] = said["id"], body
        self.world.played["over" if said["credit_minor"] else "paid"] += 1

    @rule(which=some_payment, changed=st.booleans())
    def pay_again(self, which: int, changed: bool) -> None:
        """The same reference again: the first answer, or none when it is for another sum."""
        if reference := self.payment(which):
            body = self.bodies[reference]
            if changed and "amount_minor" in body:
                status, said = self.world.send(
                    "POST", "/v1/payments", body | {"amount_minor": body["amount_minor"] + 1}
                )
                self.expect(409, status, said)
            status, said = self.world.send("POST", "/v1/payments", body)
            assert (status, said["id"]) == (201, self.ids[reference]), said
            money = self.books.payments[reference]
            first = sum(part["amount_minor"] for part in said["allocations"])
            assert (said["amount_minor"], said["credit_minor"]) == (money.amount, money.amount - first)
            self.world.played["again"] += 1

    @rule(which=some_payment)
    def reverse(self, which: int) -> None:
        if reference := self.payment(which):
            path = f"/v1/payments/{self.ids[reference]}/reverse"
            self.both("reversed", lambda: self.books.reverse(reference, self.world.today), path, {"reason": "bounced"})

    @rule(which=some_payment, bills=st.dictionaries(some_bill, amounts, max_size=2), whole=st.booleans())
    def allocate(self, which: int, bills: dict[int, int], whole: bool) -> None:
        """Credit on account: to invoices as said, to one as far as it is owed, or where it finds its way."""
        left_over = [name for name, one in self.books.payments.items() if one.credit and not one.reversed]
        reference = left_over[which % len(left_over)] if left_over else self.payment(which)
        if not reference:
            return
        money = self.books.payments[reference]
        if left_over and not self.books.found(money.customer, money.currency, 1, set()):
            self.issue(money.customer, money.currency, 50, 1)
        mine = self.books.found(money.customer, money.currency, 10**18, set())
        there = list(mine if whole and mine else self.books.bills)
        said = {there[one % len(there)]: part for one, part in bills.items()}
        first = next(iter(said), None)
        if first is None:
            body: dict[str, Any] = {}
            names = {number for number in self.books.bills if number in reference}
            said = self.books.found(money.customer, money.currency, money.credit, names)
        elif whole:
            body = {"invoice_id": self.invoices[first]}
            said = {first: min(money.credit, self.books.bills[first].balance)}
        else:
            parts = [{"invoice_id": self.invoices[number], "amount_minor": part} for number, part in said.items()]
            body = {"allocations": parts}
        path = f"/v1/payments/{self.ids[reference]}/allocations"
        self.both("allocated", lambda: self.books.allocate(reference, said, self.world.now), path, body)

    @rule(which=some_bill, amount=st.none() | amounts)
    def dispute(self, which: int, amount: int | None) -> None:
        if bill := self.bill(which):
            path = f"/v1/invoices/{self.invoices[bill.number]}/disputes"
            body = {"reason": "broken"} | ({"amount_minor": amount} if amount else {})
            said = self.both("disputed", lambda: self.books.dispute(bill.number, amount), path, body)
            if said:
                bill.disputes[said["id"]] = amount

    @rule(which=some_dispute)
    def resolve(self, which: int) -> None:
        opened = [(bill, one) for bill in self.books.bills.values() for one in bill.disputes]
        if opened:
            bill, one = opened[which % len(opened)]
            self.both("resolved", lambda: bill.disputes.pop(one), f"/v1/disputes/{one}/resolve", {"outcome": "agreed"})

    @rule(which=some_bill, amount=st.none() | amounts, days=st.integers(0, 3))
    def promise(self, which: int, amount: int | None, days: int) -> None:
        if bill := self.bill(which):
            on = (self.world.today + timedelta(days=days)).isoformat()
            body = {"on": on} | ({"amount_minor": amount} if amount else {})
            path = f"/v1/invoices/{self.invoices[bill.number]}/promises"
            said = self.both("promised", lambda: self.books.promise(bill.number, amount, self.world.now), path, body)
            if said and bill.promise:
                assert said["amount_minor"] == bill.promise.amount
                bill.promise.grace = date.fromisoformat(said["grace_until"])

    @rule(which=some_bill, days=st.none() | st.integers(0, 3))
    def hold(self, which: int, days: int | None) -> None:
        if bill := self.bill(which):
            until = None if days is None else self.world.today + timedelta(days=days)
            body = {"reason": "asked"} | ({"until": until.isoformat()} if until else {})
            path = f"/v1/invoices/{self.invoices[bill.number]}/hold"
            if self.both("held", bill.need_open, path, body):
                bill.hold = until or date.max

    @rule(which=some_bill)
    def void(self, which: int) -> None:
        if bill := self.bill(which):
            path = f"/v1/invoices/{self.invoices[bill.number]}/void"
            self.both("voided", lambda: self.books.cancel(bill.number), path, {"reason": "wrong"})

    @rule(days=st.integers(1, 4))
    def wait(self, days: int) -> None:
        self.world.pass_days(days)
        self.books.days_pass(self.world.today)
        self.world.played["days"] += days

    @invariant()
    def both_say_the_same(self) -> None:
        for one in self.world.get("/v1/invoices?limit=200")["data"]:
            bill = self.books.bills[one["number"]]
            promise, hold = one["promise"], one["hold"]
            assert (one["balance_minor"], one["paid_minor"], one["status"]) == (bill.balance, bill.paid, bill.status)
            assert one["disputed_minor"] == bill.disputed
            assert (promise and promise["amount_minor"]) == (bill.promise and bill.promise.amount)
            assert one["promises_broken"] == bill.broken
            assert (hold and (hold["until"] or date.max.isoformat())) == (bill.hold and bill.hold.isoformat())
        for one in self.world.get("/v1/payments?limit=200")["data"]:
            payment = self.books.payments[one["reference"]]
            assert (one["amount_minor"], one["credit_minor"]) == (payment.amount, payment.credit)
            assert one["credit_minor"] + sum(part["amount_minor"] for part in one["allocations"]) == one["amount_minor"]
            assert (one["status"] == "reversed") == payment.reversed
        for name in CUSTOMERS:
            credit = self.world.get(f"/v1/customers/by-external-id/{name}")["credit"]
            assert {one["currency"]: one["amount_minor"] for one in credit} == self.books.credit(name)

    def events_say_the_same(self) -> None:
        """What the other services are told, added up, is what was received and what is owed."""
        received: Counter[str] = Counter()
        newest: dict[str, Any] = {}
        for event in self.world.told():
            if isinstance(event, PaymentEvent):
                received[event.reference] += event.amount_minor
                put = sum(part.amount_minor for part in event.allocations)
                assert put + event.credit_minor == event.amount_minor
            states = [part.invoice for part in getattr(event, "allocations", ())]
            for state in [*states, *([event.invoice] if hasattr(event, "invoice") else [])]:
                assert state.version >= getattr(newest.get(state.number), "version", 0)
                newest[state.number] = state
        for reference, payment in self.books.payments.items():
            assert received[reference] == (0 if payment.reversed else payment.amount)
        for number, bill in self.books.bills.items():
            said = newest[number]
            assert (said.balance_minor, said.status, said.disputed_minor) == (bill.balance, bill.status, bill.disputed)

    def both(self, what: str, modelled: Any, path: str, body: Any) -> Any:
        """The answer when both do it; None when both refuse alike."""
        status, said = self.world.send("POST", path, body)
        try:
            modelled()
        except Refused as refused:
            self.expect(refused.status, status, said)
            return None
        assert status in (200, 201), said
        self.world.played[what] += 1
        return said

    def expect(self, wanted: int, status: int, said: Any) -> Any:
        assert status == wanted, said
        return said

    def bill(self, which: int) -> Bill | None:
        bills = list(self.books.bills.values())
        return bills[which % len(bills)] if bills else None

    def payment(self, which: int) -> str | None:
        there = list(self.books.payments)
        return there[which % len(there)] if there else None

    def _next(self) -> int:
        self.count += 1
        return self.count
