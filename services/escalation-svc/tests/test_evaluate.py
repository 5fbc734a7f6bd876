"""The pure core by example: what opens a rung, what keeps it shut, and until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from escalation_svc.evaluate import CaseFacts, Contact, ContactStatus, Reason, Taken, evaluate
from escalation_svc.ladder_file import shipped
from escalation_svc.wording import sentence
from remit_events.state import Hold, InvoiceState, Promise, Stage

LADDER = shipped("default").ladder()
DUE = date(2026, 3, 2)


def day(offset: int) -> date:
    return DUE + timedelta(days=offset)


def invoice(**changes: Any) -> InvoiceState:
    return InvoiceState(
        **{
            "id": UUID(int=1),
            "customer_id": UUID(int=2),
            "number": "2026-1",
            "status": "issued",
            "currency": "EUR",
            "total_minor": 100_000,
            "balance_minor": 100_000,
            "issue_date": DUE - timedelta(days=30),
            "due_date": DUE,
            "issued_at": datetime(2026, 1, 31, 8, tzinfo=UTC),
            "version": 1,
            **changes,
        }
    )


def sent(offset: int, *, stage: Stage = Stage.OVERDUE, status: ContactStatus = "sent") -> Contact:
    return Contact(uuid4(), day(offset), stage, status)


REMINDED = (sent(1), sent(7), sent(14), sent(30))
FACTS = CaseFacts(invoice(), "business", contacts=REMINDED)
CALLED = replace(FACTS, taken=(Taken("account-manager", day(15)),))
DEMANDED = replace(
    CALLED,
    taken=(*CALLED.taken, Taken("formal-demand", day(35))),
    contacts=(*REMINDED, sent(37, stage=Stage.DEMAND)),
)


def rules(facts: CaseFacts, offset: int) -> list[str]:
    return [reason.rule for reason in evaluate(facts, LADDER, day(offset)).reasons]


def test_the_first_rung_opens_at_its_days_and_reminders() -> None:
    one = replace(FACTS, contacts=REMINDED[:1])
    assert rules(one, 14) == ["reminders"]
    assert rules(replace(FACTS, contacts=REMINDED[:2]), 13) == ["days-overdue"]
    verdict = evaluate(replace(FACTS, contacts=REMINDED[:2]), LADDER, day(14))
    assert verdict.may_take
    assert verdict.rung
    assert verdict.rung.key == "account-manager"


def test_not_before_is_the_last_of_the_days_waited_for_and_none_when_time_alone_does_not_help() -> None:
    assert evaluate(replace(FACTS, contacts=REMINDED[:2]), LADDER, day(8)).not_before == day(14)
    assert evaluate(replace(FACTS, contacts=REMINDED[:1]), LADDER, day(8)).not_before is None
    assert evaluate(CALLED, LADDER, day(31)).not_before == day(35)
    assert evaluate(DEMANDED, LADDER, day(38)).not_before == day(47)


def test_the_demand_waits_for_five_days_without_a_contact() -> None:
    assert rules(CALLED, 34) == ["days-since-contact"]
    assert rules(CALLED, 35) == []


def test_a_government_customer_gets_no_demand_before_fifty_days() -> None:
    government = replace(CALLED, profile="government")
    assert rules(government, 49) == ["days-overdue"]
    assert rules(government, 50) == []
    assert rules(replace(DEMANDED, profile="government"), 47) == []


def test_channels_of_one_touch_count_once() -> None:
    touch = uuid4()
    both = (Contact(touch, day(1), Stage.OVERDUE, "sent"), Contact(touch, day(1), Stage.OVERDUE, "sent"))
    assert replace(FACTS, contacts=both).reminders() == 1


def test_a_touch_counts_while_one_of_its_deliveries_stands() -> None:
    touch = uuid4()
    failed = Contact(touch, day(1), Stage.OVERDUE, "failed")
    assert replace(FACTS, contacts=(failed,)).reminders() == 0
    assert replace(FACTS, contacts=(failed, Contact(touch, day(1), Stage.OVERDUE, "sent"))).reminders() == 1


@pytest.mark.parametrize(
    ("contact", "counts", "is_contact"),
    [
        (sent(0), False, True),
        (sent(-1, stage=Stage.UPCOMING), False, True),
        (sent(1, stage=Stage.UPCOMING), True, True),
        (sent(1, status="unknown"), False, True),
        (sent(1, status="planned"), False, True),
        (sent(1, status="failed"), False, False),
        (sent(1, status="cancelled"), False, False),
        (sent(36, stage=Stage.DEMAND), False, True),
    ],
)
def test_what_is_a_reminder_and_what_is_a_contact(contact: Contact, counts: bool, is_contact: bool) -> None:
    facts = replace(FACTS, contacts=(contact,))
    assert (facts.reminders() == 1, facts.last_contact() == contact.on) == (counts, is_contact)


def test_a_late_failure_takes_the_third_reminder_away() -> None:
    three = replace(CALLED, contacts=REMINDED[:3])
    assert rules(three, 30) == []
    bounced = replace(three, contacts=(*REMINDED[:2], replace(REMINDED[2], status="failed")))
    assert rules(bounced, 30) == ["reminders"]


def test_rungs_after_the_demand_count_from_the_day_it_was_sent() -> None:
    assert rules(DEMANDED, 46) == ["days-since-demand"]
    assert rules(DEMANDED, 47) == []
    unsent = replace(DEMANDED, contacts=REMINDED)
    assert rules(unsent, 80) == ["demand-not-sent"]
    assert evaluate(unsent, LADDER, day(80)).not_before is None
    bounced = replace(DEMANDED, contacts=(*REMINDED, sent(37, stage=Stage.DEMAND, status="failed")))
    assert rules(bounced, 80) == ["demand-not-sent"]


def test_the_agency_gets_no_debt_below_the_minimum() -> None:
    suspended = replace(DEMANDED, taken=(*DEMANDED.taken, Taken("suspension", day(47))))
    assert rules(replace(suspended, invoice=invoice(balance_minor=4_999)), 60) == ["minimum-balance"]
    assert rules(replace(suspended, invoice=invoice(balance_minor=5_000)), 60) == []
    half = invoice(balance_minor=9_000, disputed_minor=4_001)
    assert rules(replace(suspended, invoice=half), 60) == ["minimum-balance"]
    assert rules(replace(suspended, invoice=invoice(balance_minor=1, currency="SEK")), 60) == []


def test_one_rung_a_day() -> None:
    late = replace(FACTS, taken=(Taken("account-manager", day(100)),))
    assert rules(late, 100) == ["one-rung-a-day"]
    assert rules(late, 101) == []


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"disputed_minor": 100_000}, "disputed"),
        ({"promise": Promise(id=UUID(int=3), on=day(50), amount_minor=5, grace_until=day(51))}, "promise"),
        ({"hold": Hold(reason="new contact")}, "held"),
        ({"payment_in_flight": True}, "payment-in-flight"),
    ],
)
def test_what_freezes_a_case_and_thaws_it_where_it_was(change: dict[str, Any], rule: str) -> None:
    frozen = replace(CALLED, invoice=invoice(**change))
    verdict = evaluate(frozen, LADDER, day(40))
    assert (verdict.status, [r.rule for r in verdict.reasons], verdict.not_before) == ("frozen", [rule], None)
    thawed = evaluate(CALLED, LADDER, day(40))
    assert thawed.rung == verdict.rung
    assert thawed.may_take


def test_a_dispute_in_part_does_not_freeze() -> None:
    assert rules(replace(CALLED, invoice=invoice(disputed_minor=99_999)), 40) == []


def test_a_hold_ends_by_itself_the_day_after_its_last() -> None:
    held = replace(CALLED, customer_hold=Hold(reason="merger", until=day(40)))
    verdict = evaluate(held, LADDER, day(40))
    assert (verdict.status, verdict.not_before) == ("frozen", day(41))
    assert evaluate(held, LADDER, day(41)).may_take
    # Even while reminders are missing, so that the case does not stand as frozen for longer than it is.
    fresh = replace(held, contacts=())
    assert evaluate(fresh, LADDER, day(40)).not_before == day(41)


@pytest.mark.parametrize(("status", "outcome"), [("paid", "paid"), ("void", "void"), ("written_off", "settled")])
def test_an_ended_invoice_closes_the_case(status: str, outcome: str) -> None:
    verdict = evaluate(replace(DEMANDED, invoice=invoice(status=status, balance_minor=0)), LADDER, day(90))
    assert (verdict.status, verdict.rung, [r.rule for r in verdict.reasons]) == ("closed", None, [outcome])


def test_approval_pending_rejected_and_the_end_of_the_ladder() -> None:
    assert rules(replace(CALLED, pending="formal-demand"), 40) == ["approval-pending"]
    assert rules(replace(CALLED, rejected={"formal-demand": "they will pay"}), 40) == ["rejected"]
    done = replace(DEMANDED, taken=tuple(Taken(r.key, day(47)) for r in LADDER.rungs))
    assert rules(done, 200) == ["ladder-done"]
    assert evaluate(CALLED, None, day(40)).reasons[0].rule == "no-ladder"
    assert rules(replace(CALLED, invoice=invoice(due_date=None)), 40) == ["no-due-date"]


def test_every_reason_has_a_sentence() -> None:
    held = replace(CALLED, customer_hold=Hold(reason="merger", until=day(40)))
    assert sentence(evaluate(held, LADDER, day(40)).reasons[0]) == "a hold is on: merger (until 2026-04-12)"
    short = evaluate(replace(FACTS, contacts=()), LADDER, day(20))
    assert [sentence(r) for r in short.reasons] == ["0 reminders sent after the due date, 2 needed"]


def test_what_there_is_is_counted_in_words() -> None:
    """One reminder, one day, and a due date that is still to come."""
    said = {
        Reason("reminders", 2, 1): "1 reminder sent after the due date, 2 needed",
        Reason("days-overdue", 14, -30): "due in 30 days, 14 days overdue needed",
        Reason("days-overdue", 14, 1): "1 day overdue, 14 days overdue needed",
        Reason("days-since-contact", 5, 1): "1 day since the last message naming the invoice, 5 needed",
    }
    assert {reason: sentence(reason) for reason in said} == said
