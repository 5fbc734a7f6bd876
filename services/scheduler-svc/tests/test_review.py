"""What goes and what ends: the review over time, on hand-made cases."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from remit_testing.reviews import BUSINESS, debt, look, only, played, rules
from remit_testing.scheduling import Played, follow, make_invoice, make_policy, utc

from remit_events.state import Channel, Stage


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
    result = look("2026-03-04 09:00", *(only(old, "final-notice"), only(new, "courtesy")))
    (touch,) = result.touches
    assert (touch.step, touch.tone, touch.stage) == ("final-notice", "final", Stage.OVERDUE)
    assert [(item.invoice.number, item.step) for item in touch.content] == [
        ("R1", "final-notice"),
        ("R2", "courtesy"),
    ]
    assert touch.inputs[1]["with"] == {"invoice": "R1", "step": "final-notice"}


def test_ties_go_to_the_oldest_due_date_then_the_number() -> None:
    follow_ups = [
        only(follow(make_invoice(number, issue, due), BUSINESS), "final-notice")
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
        result = look("2026-02-10 09:00", only(follow(invoice, BUSINESS), "second", "third", "final-notice"))
        (touch,) = result.touches
        assert (touch.step, touch.items[0].merged, touch.items[0].harder) == ("third", ("second",), True)
        assert result.ledger.follow_ups[0].harder_used == 1
        assert result.next_at == utc("2026-03-04 09:00")

    @pytest.mark.parametrize("catch_up", ["collapse", "shift"])
    def test_under_any_catch_up_that_sends(self, catch_up: str) -> None:
        """`second` was promised away from the 9th to the 11th."""
        policy = make_policy(catch_up=catch_up)
        invoice = make_invoice(promises_broken=1)
        result = look(
            "2026-02-12 09:00", only(follow(invoice, policy), "second", "third", "final-notice"), policy=policy
        )
        (touch,) = result.touches
        assert (touch.step, touch.items[0].merged, touch.items[0].harder) == ("third", ("second",), True)
        assert result.next_at == utc("2026-03-04 09:00"), "the rest on its own day: nothing of it is late"

    def test_by_shift_the_rest_keeps_its_distance_from_the_harder_step(self) -> None:
        policy = make_policy(catch_up="shift")
        invoice = make_invoice(promises_broken=1)
        result = look(
            "2026-02-18 09:00", only(follow(invoice, policy), "second", "third", "final-notice"), policy=policy
        )
        (touch,) = result.touches
        assert (touch.step, touch.items[0].merged) == ("third", ("second",))
        assert result.next_at == utc("2026-03-06 09:00"), "two days late, as third is"

    def test_only_once_for_each_promise(self) -> None:
        invoice = make_invoice(promises_broken=1)
        follow_up = only(follow(invoice, BUSINESS, harder_used=1), "second", "third")
        (touch,) = look("2026-02-10 09:00", follow_up).touches
        assert touch.step == "second"

    def test_the_hardest_step_stays_the_hardest(self) -> None:
        follow_up = only(follow(make_invoice(promises_broken=2), BUSINESS), "final-notice")
        (touch,) = look("2026-03-04 09:00", follow_up).touches
        assert (touch.step, touch.items[0].harder) == ("final-notice", False)


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

    def test_what_waits_for_review_has_not_come_to_its_end(self) -> None:
        done = played(debt("R1", "2025-01-02", "2025-02-03", entered=date(2026, 3, 11), disputed=True))
        assert [(o.step, o.rule) for _, o in done.decisions][-1] == ("day-after", "disputed")
        assert done.exhausted == []


def test_steps_are_suppressed_after_a_demand_and_resume_when_it_is_withdrawn() -> None:
    follow_up = follow(make_invoice(), BUSINESS, escalated="demand")
    result = look("2026-02-03 09:00", only(follow_up, "day-after"))
    assert rules(result) == [("day-after", "suppressed", "escalated")]
