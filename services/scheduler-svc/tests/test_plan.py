"""The plan of one invoice: shifts, windows, old debt, entry; the domain rules' examples are the oracles."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest
from remit_testing.scheduling import follow, make_debtor, make_invoice, make_policy, utc

from scheduler_svc.days import days_of
from scheduler_svc.ledger import FollowUp, Progress
from scheduler_svc.plan import plan
from scheduler_svc.policy import Policy

BUSINESS = make_policy()


def planned(follow_up: FollowUp, policy: Policy = BUSINESS, **customer: object) -> dict[str, tuple[date, str | None]]:
    days = days_of(make_debtor(**customer), policy)
    return {one.step.key: (one.day, one.skip) for one in plan(follow_up, policy, days)}


def test_the_example_of_the_rules_due_on_boxing_day() -> None:
    invoice = make_invoice(issue="2026-11-26", due="2026-12-26")
    found = planned(follow(invoice, BUSINESS))
    assert found["tomorrow"] == (date(2026, 12, 24), None)  # Friday the 25th is a holiday
    assert found["day-after"] == (date(2026, 12, 28), None)  # Sunday the 27th
    assert found["courtesy"] == (date(2026, 12, 18), None)  # Saturday the 19th
    (tomorrow,) = (
        one
        for one in plan(follow(invoice, BUSINESS), BUSINESS, days_of(make_debtor(), BUSINESS))
        if one.step.key == "tomorrow"
    )
    assert tomorrow.at == utc("2026-12-24 09:00")
    assert tomorrow.inputs["shifted_from"] == date(2026, 12, 25)
    assert "Christmas" in tomorrow.inputs["day_off"] or "Weihnacht" in tomorrow.inputs["day_off"]
    assert tomorrow.inputs["holidays"].startswith("holidays ")


def test_a_step_on_or_before_the_issue_day_never_falls_due() -> None:
    assert list(planned(follow(make_invoice(issue="2026-03-02", due="2026-03-09"), BUSINESS))) == [
        "tomorrow", "day-after", "second", "third", "final-notice",
    ]  # fmt: skip


def test_a_step_that_moves_back_to_the_issue_day_is_skipped() -> None:
    # Issued on Friday 6 March; -7 falls on Sunday the 8th and moves back to the Friday.
    found = planned(follow(make_invoice(issue="2026-03-06", due="2026-03-15"), BUSINESS))
    assert found["courtesy"] == (date(2026, 3, 6), "before-issue")


def test_sunday_to_thursday_where_that_is_the_week() -> None:
    # Israel: due on Sunday 15 March 2026; -1 falls on Saturday and moves back to Thursday.
    found = planned(
        follow(make_invoice(issue="2026-02-15", due="2026-03-15"), BUSINESS), country="IL", timezone="Asia/Jerusalem"
    )
    assert found["tomorrow"][0] == date(2026, 3, 12)
    assert found["day-after"][0] == date(2026, 3, 16)


def test_weekday_windows_may_mind_holidays_or_not() -> None:
    invoice = make_invoice(issue="2026-12-01", due="2026-12-24")
    window = {"days": ["mon", "tue", "wed", "thu", "fri"], "from": "10:00", "to": "12:00", "skip_holidays": True}
    assert planned(follow(invoice, BUSINESS), make_policy(window=window))["day-after"][0] == date(2026, 12, 28)
    window["skip_holidays"] = False
    assert planned(follow(invoice, BUSINESS), make_policy(window=window))["day-after"][0] == date(2026, 12, 25)


def test_an_hour_that_a_clock_change_removes_moves_forward() -> None:
    # Lord Howe puts its clocks on by half an hour at 02:00 on Sunday 4 October 2026.
    window = {"days": ["sun"], "from": "02:15", "to": "05:00", "skip_holidays": False}
    policy = make_policy(window=window)
    invoice = make_invoice(issue="2026-09-01", due="2026-10-03")
    days = days_of(make_debtor(country="AU", timezone="Australia/Lord_Howe"), policy)
    (step,) = (one for one in plan(follow(invoice, policy), policy, days) if one.step.key == "day-after")
    assert step.at == datetime(2026, 10, 3, 15, 30, tzinfo=UTC)  # 02:30 there, the first minute that exists


def test_individuals_are_left_alone_before_eight_and_after_nine_whatever_the_policy_says() -> None:
    policy = make_policy(
        window={"days": ["mon", "tue", "wed", "thu", "fri"], "from": "06:00", "to": "23:00", "skip_holidays": True}
    )
    individual = days_of(make_debtor(profile="individual"), policy)
    assert (individual.window.opens, individual.window.until) == (time(8), time(21))
    assert not individual.is_open(utc("2026-03-02 07:59"))
    assert individual.is_open(utc("2026-03-02 08:00"))
    assert not individual.is_open(utc("2026-03-02 21:00"))
    business = days_of(make_debtor(), policy)
    assert business.is_open(utc("2026-03-02 06:00"))


def test_a_window_the_law_leaves_nothing_of_never_opens() -> None:
    policy = make_policy(window={"days": "business", "from": "21:30", "to": "23:00", "skip_holidays": True})
    assert not days_of(make_debtor(profile="individual"), policy).ever_open
    assert days_of(make_debtor(), policy).ever_open


def test_without_a_zone_only_moments_inside_all_of_the_countrys_count() -> None:
    days = days_of(make_debtor(country="US", timezone=None), BUSINESS)
    monday = date(2026, 3, 2)
    assert days.opening(monday) == utc("2026-03-02 09:00", "Pacific/Honolulu")
    assert days.closing(monday) == utc("2026-03-02 17:00", "America/New_York")
    assert not days_of(make_debtor(country="RU", timezone=None), BUSINESS).ever_open


class TestOldDebt:
    """Due on Monday 2 February 2026, learned of on Wednesday 11 March: 37 days overdue."""

    invoice = make_invoice(issue="2026-01-02", due="2026-02-02")

    def test_first_enters_at_the_first_overdue_step_and_keeps_the_distances(self) -> None:
        found = planned(follow(self.invoice, BUSINESS, entered_on=date(2026, 3, 11)))
        assert found["courtesy"][1] == found["tomorrow"][1] == "old-debt"
        assert found["day-after"] == (date(2026, 3, 11), None)
        assert found["second"] == (date(2026, 3, 17), None)  # six days after
        assert found["third"] == (date(2026, 3, 24), None)
        assert found["final-notice"] == (date(2026, 4, 9), None)

    def test_by_age_enters_at_the_step_that_matches(self) -> None:
        policy = make_policy(entry="by-age")
        found = planned(follow(self.invoice, policy, entered_on=date(2026, 2, 18)), policy)
        assert [key for key, (_, skip) in found.items() if skip == "old-debt"] == [
            "courtesy", "tomorrow", "day-after", "second",
        ]  # fmt: skip
        assert found["third"] == (date(2026, 2, 18), None)
        assert found["final-notice"] == (date(2026, 3, 4), None)

    def test_never_before_its_own_day(self) -> None:
        policy = make_policy(
            steps=[
                {"key": "second", "offset": 7, "tone": "firm", "channels": ["email"]},
                {"key": "third", "offset": 14, "tone": "firm", "channels": ["email"]},
            ]
        )
        for entry in ("first", "by-age"):
            changed = policy.model_copy(update={"entry": entry})
            found = planned(follow(self.invoice, changed, entered_on=date(2026, 2, 4)), changed)
            assert found == {"second": (date(2026, 2, 9), None), "third": (date(2026, 2, 16), None)}

    def test_over_180_days_only_the_step_it_enters_with_is_planned(self) -> None:
        found = planned(follow(self.invoice, BUSINESS, entered_on=date(2026, 8, 3)))
        assert [key for key, (_, skip) in found.items() if skip is None] == ["day-after"]
        released = follow(self.invoice, BUSINESS, entered_on=date(2026, 8, 3), reviewed_on=date(2026, 9, 1))
        assert planned(released)["second"] == (date(2026, 9, 7), None)

    def test_an_invoice_not_overdue_on_arrival_only_misses_what_has_passed(self) -> None:
        found = planned(follow(self.invoice, BUSINESS, entered_on=date(2026, 1, 28)))
        assert found["courtesy"] == (date(2026, 1, 26), "before-entry")
        assert found["tomorrow"] == (date(2026, 1, 30), None)


def test_steps_with_an_outcome_or_in_flight_are_not_planned() -> None:
    progress = {"courtesy": Progress(outcome="sent"), "tomorrow": Progress(touch_id=make_invoice().id)}
    found = planned(follow(make_invoice(), BUSINESS, progress=progress))
    assert list(found) == ["day-after", "second", "third", "final-notice"]


def test_no_due_date_no_steps() -> None:
    assert planned(follow(make_invoice(due=None), BUSINESS)) == {}


@pytest.mark.parametrize("shift", [0, 3])
def test_a_catch_up_moves_what_is_left(shift: int) -> None:
    found = planned(follow(make_invoice(), BUSINESS, shift_days=shift))
    assert found["second"][0] == date(2026, 2, 9 + shift)
