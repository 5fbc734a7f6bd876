"""The contact gate, rule by rule: what waits, until when, and what is suppressed."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from remit_testing.reviews import BUSINESS, look, only, rules
from remit_testing.scheduling import follow, make_debtor, make_invoice, make_policy, ref, utc

from remit_events.addresses import address_hash
from remit_events.state import Channel, Hold, Promise
from scheduler_svc.ledger import Contact, Ledger
from scheduler_svc.review import review


class TestGapAndCap:
    invoice = make_invoice("R1", "2026-01-02", "2026-03-02")

    def test_the_gap_counts_local_dates(self) -> None:
        policy = make_policy(minimum_gap_days=3, contact_cap=None)
        contacted = (Contact(date(2026, 2, 20)),)  # a Friday
        result = look("2026-02-23 09:00", follow(self.invoice, policy), policy=policy, contacts=contacted)
        assert len(result.touches) == 1
        contacted = (Contact(date(2026, 2, 21)),)
        result = look("2026-02-23 09:00", follow(self.invoice, policy), policy=policy, contacts=contacted)
        assert rules(result) == [("courtesy", "deferred", "minimum-gap")]
        assert result.decisions[0].until == result.next_at == utc("2026-02-24 09:00")
        assert result.decisions[0].inputs["last_contact_on"] == date(2026, 2, 21)

    def test_the_cap_holds_in_any_stretch_of_days_and_counts_the_day_itself(self) -> None:
        contacted = tuple(Contact(date(2026, 2, day)) for day in (17, 18, 20))
        result = look("2026-02-23 09:00", follow(self.invoice, BUSINESS), contacts=contacted)
        assert rules(result) == [("courtesy", "deferred", "contact-cap")]
        assert result.next_at == utc("2026-02-24 09:00")  # the 17th lies outside of 18..24
        assert result.decisions[0].inputs["counted_on"] == [date(2026, 2, day) for day in (17, 18, 20)]

    def test_individuals_get_at_most_seven_in_seven_days_by_law(self) -> None:
        policy = make_policy("individual", minimum_gap_days=0, contact_cap=None)
        contacted = tuple(Contact(date(2026, 2, day)) for day in (20, 21, 22, 23, 24, 24, 25))
        follow_up = follow(self.invoice, policy)
        result = look("2026-02-25 10:00", follow_up, policy=policy, contacts=contacted, profile="individual")
        assert result.decisions[0].rule == "contact-cap"
        assert result.decisions[0].inputs["by"] == "law"
        assert len(look("2026-02-25 10:00", follow_up, policy=policy, contacts=contacted).touches) == 1

    def test_the_same_deferral_is_written_once(self) -> None:
        contacted = (Contact(date(2026, 2, 23)),)
        first = look("2026-02-23 09:00", follow(self.invoice, BUSINESS), contacts=contacted)
        again = review(first.ledger, {ref(BUSINESS): BUSINESS}, utc("2026-02-23 11:00"), uuid4)
        assert (len(first.decisions), len(again.decisions)) == (1, 0)


def test_outside_the_window_it_waits_for_the_next_opening() -> None:
    late = follow(make_invoice(issue="2026-01-02", due="2026-03-02"), BUSINESS, entered_on=date(2026, 2, 23))
    result = look("2026-02-23 18:00", late)
    assert rules(result) == [("courtesy", "deferred", "outside-window")]
    assert result.next_at == utc("2026-02-24 09:00")
    assert result.decisions[0].inputs["window"]["to"] == "17:00"


def test_at_once_when_it_falls_due_inside_the_window() -> None:
    late = follow(make_invoice(issue="2026-01-02", due="2026-03-02"), BUSINESS, entered_on=date(2026, 2, 23))
    (touch,) = look("2026-02-23 16:59", late).touches
    assert touch.valid_until == utc("2026-02-23 17:00")


def test_an_upcoming_step_held_until_the_due_date_is_too_late() -> None:
    held = make_invoice(issue="2026-01-02", due="2026-03-02", hold=Hold(reason="asked"))
    result = look("2026-02-27 09:00", only(follow(held, BUSINESS), "tomorrow"))
    assert rules(result) == [("tomorrow", "deferred", "held")]
    assert result.next_at == utc("2026-03-02 09:00")
    result = review(result.ledger, {ref(BUSINESS): BUSINESS}, result.next_at, uuid4)
    assert rules(result) == [("tomorrow", "skipped", "too-late")]


@pytest.mark.parametrize(
    ("invoice", "customer", "rule", "until"),
    [
        ({"hold": Hold(reason="x", until=date(2026, 3, 10))}, {}, "held", "2026-03-11 09:00"),
        ({}, {"hold": Hold(reason="x", until=date(2026, 3, 6))}, "held", "2026-03-09 09:00"),
        ({}, {"hold": Hold(reason="x")}, "held", None),
        ({"payment_in_flight": True}, {}, "payment-in-flight", None),
        (
            {"promise": Promise(id=uuid4(), on=date(2026, 3, 5), amount_minor=1, grace_until=date(2026, 3, 6))},
            {},
            "promise",
            "2026-03-09 09:00",
        ),
    ],
)
def test_what_holds_an_overdue_step_back(
    invoice: dict[str, Any], customer: dict[str, Any], rule: str, until: str | None
) -> None:
    one = only(follow(make_invoice(issue="2026-01-02", due="2026-03-02", **invoice), BUSINESS), "day-after")
    result = look("2026-03-03 09:00", one, **customer)
    assert rules(result) == [("day-after", "deferred", rule)]
    assert result.next_at == (utc(until) if until else None)


def test_automation_off_defers_and_nothing_else_is_looked_at() -> None:
    one = only(follow(make_invoice(hold=Hold(reason="x")), BUSINESS), "courtesy")
    result = look("2026-01-26 09:00", one, automation_on=False)
    assert rules(result) == [("courtesy", "deferred", "automation-off")]
    assert result.next_at == utc("2026-02-02 09:00")  # when it will be too late


class TestMinimumBalance:
    policy = make_policy(minimum_balance={"EUR": 2500})

    def test_is_over_the_messages_items_of_a_currency_together(self) -> None:
        small = [follow(make_invoice(f"R{n}", balance_minor=1300), self.policy) for n in (1, 2)]
        (touch,) = look("2026-01-26 09:00", *small, policy=self.policy).touches
        assert [item.minimum_minor for item in touch.content] == [2500, 2500]  # for the last check
        result = look("2026-01-26 09:00", small[0], policy=self.policy)
        assert rules(result) == [("courtesy", "suppressed", "below-minimum")]

    def test_another_currency_does_not_help(self) -> None:
        euro = follow(make_invoice("R1", balance_minor=1300), self.policy)
        dollar = follow(make_invoice("R2", balance_minor=99000, currency="USD"), self.policy)
        result = look("2026-01-26 09:00", euro, dollar, policy=self.policy)
        assert [item.invoice.number for item in result.touches[0].content] == ["R2"]
        assert [(one.invoice.number, one.rule) for one in result.decisions] == [("R1", "below-minimum")]


class TestChannels:
    late = staticmethod(lambda step: only(follow(make_invoice(issue="2026-01-02", due="2026-02-02"), BUSINESS), step))

    def test_a_channel_it_cannot_use_is_noted(self) -> None:
        (touch,) = look("2026-02-09 09:00", self.late("second"), sms_consent=False).touches
        assert touch.channels == (Channel.EMAIL,)
        assert touch.inputs[0]["noted"] == {"sms": "no-consent"}

    def test_no_reachable_channel_suppresses(self) -> None:
        result = look("2026-02-03 09:00", self.late("day-after"), email=None)
        assert rules(result) == [("day-after", "suppressed", "no-channel")]

    def test_the_easier_step_goes_when_the_harder_has_no_channel(self) -> None:
        policy = make_policy(
            steps=[
                {"key": "mail", "offset": 1, "tone": "neutral", "channels": ["email"]},
                {"key": "text", "offset": 2, "tone": "firm", "channels": ["sms"]},
            ]
        )
        result = look("2026-02-06 09:00", follow(make_invoice(), policy), policy=policy, phone=None)
        assert rules(result) == [("text", "suppressed", "no-channel")]
        assert result.touches[0].step == "mail"

    def test_a_required_notice_goes_by_letter_when_email_was_closed(self) -> None:
        mail = "ap@kunde.example"
        closed = frozenset({(Channel.EMAIL, address_hash(Channel.EMAIL, mail))})
        debtor = make_debtor(closed, email=mail)
        follow_up = only(follow(make_invoice(), BUSINESS), "day-after")
        ledger = Ledger(debtor, True, (follow_up,))
        (touch,) = review(ledger, {ref(BUSINESS): BUSINESS}, utc("2026-02-03 09:00"), uuid4).touches
        assert touch.channels == (Channel.LETTER,)
        courtesy = Ledger(debtor, True, (only(follow(make_invoice(), BUSINESS), "courtesy"),))
        result = review(courtesy, {ref(BUSINESS): BUSINESS}, utc("2026-01-26 09:00"), uuid4)
        assert rules(result) == [("courtesy", "suppressed", "no-channel")]


def test_no_due_date_is_said_once_for_each_step() -> None:
    first = look("2026-01-26 09:00", follow(make_invoice(due=None), BUSINESS))
    assert {(one.outcome, one.rule) for one in first.decisions} == {("skipped", "no-due-date")}
    assert len(first.decisions) == 6
    assert first.exhausted == ()
    assert review(first.ledger, {ref(BUSINESS): BUSINESS}, utc("2026-01-27 09:00"), uuid4).decisions == ()
