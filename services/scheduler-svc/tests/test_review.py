"""What goes, waits and ends: the review over time, on hand-made cases."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from remit_testing.scheduling import Debt, Played, follow, make_debtor, make_invoice, make_policy, play, ref, utc

from remit_events.state import Channel, Hold, Promise, Stage
from scheduler_svc.channels import address_hash
from scheduler_svc.ledger import Contact, FollowUp, Ledger
from scheduler_svc.policy import Policy
from scheduler_svc.review import Review, review

BUSINESS = make_policy()
FAR = utc("2027-01-01 00:00")


def look(
    now: str, *follow_ups: FollowUp, policy: Policy = BUSINESS, contacts: tuple[Contact, ...] = (),
    automation_on: bool = True, **customer: Any,
) -> Review:  # fmt: skip
    ledger = Ledger(make_debtor(**customer), automation_on, follow_ups, contacts=contacts)
    return review(ledger, {ref(policy): policy}, utc(now), uuid4)


def rules(result: Review) -> list[tuple[str, str, str]]:
    return [(one.step, one.outcome, one.rule) for one in result.decisions]


def debt(number: str, issue: str, due: str, paid: str | None = None, **given: Any) -> Debt:
    return Debt(
        number,
        date.fromisoformat(issue),
        date.fromisoformat(due),
        date.fromisoformat(paid) if paid else None,
        **given,
    )


def played(*debts: Debt, policy: Policy = BUSINESS, until: datetime = FAR, **given: Any) -> Played:
    return play(make_debtor(), debts, policy, until=until, **given)


def test_a_never_paid_invoice_gets_every_step_and_is_exhausted() -> None:
    done = played(debt("R1", "2026-01-02", "2026-02-02"))
    assert done.sent() == [
        ("courtesy", date(2026, 1, 26)),
        ("tomorrow", date(2026, 1, 30)),  # Sunday the 1st, back to Friday
        ("day-after", date(2026, 2, 3)),
        ("second", date(2026, 2, 9)),
        ("third", date(2026, 2, 16)),
        ("final-notice", date(2026, 3, 4)),
    ]
    assert done.exhausted == ["R1"]
    assert [touch.stage for _, touch in done.touches[1:3]] == [Stage.UPCOMING, Stage.OVERDUE]
    assert [when.hour for when, _ in done.touches] == [8] * 6  # 09:00 in Berlin, winter
    final = done.touches[-1][1]
    assert final.channels == (Channel.EMAIL, Channel.SMS, Channel.LETTER)
    assert final.valid_until == utc("2026-03-04 17:00")
    assert final.content[0].days_overdue == 30


def test_payment_ends_what_fell_due_before_it_and_nothing_else() -> None:
    # +1 falls on Saturday 7 March and would go on Monday; paid on Sunday.
    done = played(debt("R1", "2026-02-02", "2026-03-06", "2026-03-08"))
    assert [one.step for _, one in done.decisions if one.rule == "paid"] == ["day-after"]
    done = played(debt("R1", "2026-02-02", "2026-03-06", "2026-03-07"))  # on the day itself it never fell due
    assert [one.step for _, one in done.decisions if one.rule == "paid"] == []


def test_a_fully_disputed_invoice_is_logged_and_left_alone() -> None:
    done = played(debt("R1", "2026-01-02", "2026-02-02", "2026-02-20", disputed=True))
    assert done.sent() == []
    assert [one.step for _, one in done.decisions] == ["courtesy", "tomorrow", "day-after", "second", "third"]
    assert {(one.outcome, one.rule) for _, one in done.decisions} == {("suppressed", "disputed")}


def test_of_a_disputed_part_the_rest_is_chased() -> None:
    invoice = make_invoice(disputed_minor=2500)
    (touch,) = look("2026-01-26 09:00", follow(invoice, BUSINESS)).touches
    assert touch.content[0].amount_minor == 7500


def test_one_message_lists_all_that_is_due_and_the_hardest_leads() -> None:
    old = follow(make_invoice("R1", "2026-01-02", "2026-02-02"), BUSINESS)
    new = follow(make_invoice("R2", "2026-02-01", "2026-03-11", currency="USD"), BUSINESS)
    result = look("2026-03-04 09:00", *(one_of(old, "final-notice"), one_of(new, "courtesy")))
    (touch,) = result.touches
    assert (touch.step, touch.tone, touch.stage) == ("final-notice", "final", Stage.OVERDUE)
    assert [(item.invoice.number, item.step) for item in touch.content] == [
        ("R1", "final-notice"),
        ("R2", "courtesy"),
    ]
    assert touch.inputs[1]["with"] == {"invoice": "R1", "step": "final-notice"}


def one_of(follow_up: FollowUp, step: str) -> FollowUp:
    """The follow-up with every step but one already sent."""
    from dataclasses import replace

    from scheduler_svc.ledger import Progress

    done = {one.key: Progress(outcome="sent") for one in BUSINESS.steps if one.key != step}
    return replace(follow_up, progress=done)


def test_ties_go_to_the_oldest_due_date_then_the_number() -> None:
    follow_ups = [
        one_of(follow(make_invoice(number, issue, due), BUSINESS), "final-notice")
        for number, issue, due in (
            ("R3", "2026-01-05", "2026-02-02"),
            ("R2", "2026-01-02", "2026-01-31"),
            ("R1", "2026-01-05", "2026-02-02"),
        )
    ]
    (touch,) = look("2026-03-04 09:00", *follow_ups).touches
    assert [item.invoice.number for item in touch.content] == ["R2", "R1", "R3"]


def test_without_consolidation_each_invoice_has_its_message_but_the_gap_still_holds() -> None:
    apart = make_policy(consolidate=False)
    both = [follow(make_invoice(number), apart) for number in ("R1", "R2")]
    result = look("2026-01-26 09:00", *both, policy=apart)
    assert [touch.content[0].invoice.number for touch in result.touches] == ["R1"]
    assert [(one.invoice.number, one.rule) for one in result.decisions] == [("R2", "minimum-gap")]
    free = make_policy(consolidate=False, minimum_gap_days=0, contact_cap=None)
    both = [follow(make_invoice(number), free) for number in ("R1", "R2")]
    assert len(look("2026-01-26 09:00", *both, policy=free).touches) == 2


def test_two_steps_on_one_day_merge_into_the_harder() -> None:
    policy = make_policy(
        steps=[
            {"key": "eve", "offset": -1, "tone": "friendly", "channels": ["email"]},
            {"key": "day", "offset": 0, "tone": "neutral", "channels": ["email"]},
        ]
    )
    # Due on Sunday 8 March: both move back to Friday the 6th.
    done = played(debt("R1", "2026-02-02", "2026-03-08"), policy=policy)
    assert done.finals() == {
        ("R1", "day"): [("sent", "sent")],
        ("R1", "eve"): [("merged", "harder-step")],
    }


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
    result = look("2026-02-27 09:00", one_of(follow(held, BUSINESS), "tomorrow"))
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
    one = one_of(follow(make_invoice(issue="2026-01-02", due="2026-03-02", **invoice), BUSINESS), "day-after")
    result = look("2026-03-03 09:00", one, **customer)
    assert rules(result) == [("day-after", "deferred", rule)]
    assert result.next_at == (utc(until) if until else None)


def test_automation_off_defers_and_nothing_else_is_looked_at() -> None:
    one = one_of(follow(make_invoice(hold=Hold(reason="x")), BUSINESS), "courtesy")
    result = look("2026-01-26 09:00", one, automation_on=False)
    assert rules(result) == [("courtesy", "deferred", "automation-off")]
    assert result.next_at == utc("2026-02-02 09:00")  # when it will be too late


class TestMinimumBalance:
    policy = make_policy(minimum_balance={"EUR": 2500})

    def test_is_over_the_messages_items_of_a_currency_together(self) -> None:
        small = [follow(make_invoice(f"R{n}", balance_minor=1300), self.policy) for n in (1, 2)]
        assert len(look("2026-01-26 09:00", *small, policy=self.policy).touches) == 1
        result = look("2026-01-26 09:00", small[0], policy=self.policy)
        assert rules(result) == [("courtesy", "suppressed", "below-minimum")]

    def test_another_currency_does_not_help(self) -> None:
        euro = follow(make_invoice("R1", balance_minor=1300), self.policy)
        dollar = follow(make_invoice("R2", balance_minor=99000, currency="USD"), self.policy)
        result = look("2026-01-26 09:00", euro, dollar, policy=self.policy)
        assert [item.invoice.number for item in result.touches[0].content] == ["R2"]
        assert [(one.invoice.number, one.rule) for one in result.decisions] == [("R1", "below-minimum")]


class TestChannels:
    late = staticmethod(lambda step: one_of(follow(make_invoice(issue="2026-01-02", due="2026-02-02"), BUSINESS), step))

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
        follow_up = one_of(follow(make_invoice(), BUSINESS), "day-after")
        ledger = Ledger(debtor, True, (follow_up,))
        (touch,) = review(ledger, {ref(BUSINESS): BUSINESS}, utc("2026-02-03 09:00"), uuid4).touches
        assert touch.channels == (Channel.LETTER,)
        courtesy = Ledger(debtor, True, (one_of(follow(make_invoice(), BUSINESS), "courtesy"),))
        result = review(courtesy, {ref(BUSINESS): BUSINESS}, utc("2026-01-26 09:00"), uuid4)
        assert rules(result) == [("courtesy", "suppressed", "no-channel")]


def test_no_due_date_is_said_once_for_each_step() -> None:
    first = look("2026-01-26 09:00", follow(make_invoice(due=None), BUSINESS))
    assert {(one.outcome, one.rule) for one in first.decisions} == {("skipped", "no-due-date")}
    assert len(first.decisions) == 6
    assert first.exhausted == ()
    assert review(first.ledger, {ref(BUSINESS): BUSINESS}, utc("2026-01-27 09:00"), uuid4).decisions == ()


class TestCatchUp:
    """Nothing ran from 8 to 18 February; `second` (9th) and `third` (16th) were missed."""

    down = (utc("2026-02-06 12:00"), utc("2026-02-18 11:00"))

    def run(self, catch_up: str) -> Played:
        return played(debt("R1", "2026-01-02", "2026-02-02"), policy=make_policy(catch_up=catch_up), down=self.down)

    def test_collapse_sends_the_hardest_only(self) -> None:
        done = self.run("collapse")
        assert done.sent()[3:] == [("third", date(2026, 2, 18)), ("final-notice", date(2026, 3, 4))]
        assert done.finals()["R1", "second"] == [("merged", "harder-step")]

    def test_skip_sends_none_of_them(self) -> None:
        done = self.run("skip")
        assert done.sent()[3:] == [("final-notice", date(2026, 3, 4))]
        assert done.finals()["R1", "third"] == [("skipped", "catch-up")]

    def test_shift_keeps_the_distances_from_the_first_one_sent(self) -> None:
        done = self.run("shift")
        assert done.sent()[3:] == [
            ("second", date(2026, 2, 18)),
            ("third", date(2026, 2, 25)),
            ("final-notice", date(2026, 3, 13)),
        ]

    @pytest.mark.parametrize("catch_up", ["collapse", "skip", "shift"])
    def test_a_three_day_outage_never_yields_two_reminders_of_one_invoice(self, catch_up: str) -> None:
        for start in range(40):
            begins = utc("2026-01-20 00:00") + timedelta(days=start)
            outage = (begins, begins + timedelta(days=3))
            done = played(debt("R1", "2026-01-02", "2026-02-02"), policy=make_policy(catch_up=catch_up), down=outage)
            after = [day for _, day in done.sent() if outage[1] <= utc(f"{day} 12:00") < outage[1] + timedelta(days=1)]
            assert len(after) <= 1
            assert all(len(final) == 1 for final in done.finals().values())


class TestPromises:
    def test_a_broken_promise_resumes_one_step_harder(self) -> None:
        invoice = make_invoice(promises_broken=1)
        result = look("2026-02-10 09:00", one_of_many(follow(invoice, BUSINESS), ("second", "third", "final-notice")))
        (touch,) = result.touches
        assert (touch.step, touch.items[0].merged, touch.items[0].harder) == ("third", ("second",), True)
        assert result.ledger.follow_ups[0].harder_used == 1
        assert result.next_at == utc("2026-03-04 09:00")

    def test_only_once_for_each_promise(self) -> None:
        invoice = make_invoice(promises_broken=1)
        follow_up = one_of_many(follow(invoice, BUSINESS, harder_used=1), ("second", "third"))
        (touch,) = look("2026-02-10 09:00", follow_up).touches
        assert touch.step == "second"

    def test_the_hardest_step_stays_the_hardest(self) -> None:
        follow_up = one_of_many(follow(make_invoice(promises_broken=2), BUSINESS), ("final-notice",))
        (touch,) = look("2026-03-04 09:00", follow_up).touches
        assert (touch.step, touch.items[0].harder) == ("final-notice", False)


def one_of_many(follow_up: FollowUp, steps: tuple[str, ...]) -> FollowUp:
    from dataclasses import replace

    from scheduler_svc.ledger import Progress

    done = {one.key: Progress(outcome="sent") for one in BUSINESS.steps if one.key not in steps}
    return replace(follow_up, progress=done)


class TestOldDebt:
    def test_it_enters_says_what_it_passed_over_and_goes_on(self) -> None:
        done = played(debt("R1", "2026-01-02", "2026-02-02", entered=date(2026, 3, 11)))
        assert done.sent()[:2] == [("day-after", date(2026, 3, 11)), ("second", date(2026, 3, 17))]
        assert done.finals()["R1", "courtesy"] == [("skipped", "old-debt")]

    def test_over_180_days_it_is_held_for_review(self) -> None:
        done = played(debt("R1", "2025-01-02", "2025-02-03", entered=date(2026, 3, 11)))
        assert done.sent() == []
        assert [(o.step, o.outcome, o.rule) for _, o in done.decisions] == [
            ("courtesy", "skipped", "old-debt"),
            ("tomorrow", "skipped", "old-debt"),
            ("day-after", "deferred", "review"),
        ]


def test_steps_are_suppressed_after_a_demand_and_resume_when_it_is_withdrawn() -> None:
    follow_up = follow(make_invoice(), BUSINESS, escalated="demand")
    result = look("2026-02-03 09:00", one_of(follow_up, "day-after"))
    assert rules(result) == [("day-after", "suppressed", "escalated")]
