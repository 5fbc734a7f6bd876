"""Random ledgers through time: what must hold for all of them, whatever the policy."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from remit_testing.scheduling import Debt, Played, follow, make_debtor, make_invoice, make_policy, play, ref, utc

from remit_events.state import Profile
from remit_service.calendars import WEEKDAYS
from scheduler_svc.days import days_of
from scheduler_svc.due import due_of, first_look, next_at
from scheduler_svc.ledger import Ledger, Progress
from scheduler_svc.plan import old_debt, plan
from scheduler_svc.policy import Policy
from scheduler_svc.preview import foresee
from scheduler_svc.records import REVIEWED
from scheduler_svc.review import assume_sent, review
from scheduler_svc.work import Work

PLACES = (
    ("AU", "Australia/Lord_Howe"),
    ("NP", "Asia/Kathmandu"),
    ("BR", "America/Sao_Paulo"),
    ("NZ", "Pacific/Chatham"),
    ("IL", "Asia/Jerusalem"),
    ("EG", "Africa/Cairo"),
    ("DE", "Europe/Berlin"),
    ("US", "America/New_York"),
    ("US", None),
    ("XK", "Europe/Belgrade"),
)
START = date(2026, 1, 1)
UNTIL = utc("2028-09-01 00:00")
START_OF_TIME = utc("2000-01-01 00:00")

dates = st.integers(0, 330).map(lambda n: START + timedelta(n))


@st.composite
def debts(draw: st.DrawFn) -> list[Debt]:
    found = []
    for n in range(draw(st.integers(1, 7))):
        issue = draw(dates)
        due = issue + timedelta(draw(st.integers(0, 45)))
        paid = draw(st.none() | st.integers(0, 100).map(lambda n, issue=issue: issue + timedelta(n)))
        entered = draw(st.sampled_from([None, None, None, issue + timedelta(60), issue + timedelta(250)]))
        if entered and paid and paid <= entered:
            entered = None
        amount = draw(st.sampled_from([500, 3000, 90000]))
        disputed = draw(st.integers(0, 9)) == 0
        found.append(Debt(f"R{n}", issue, due, paid, disputed, amount, draw(st.sampled_from(["EUR", "JPY"])), entered))
    return found


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    base = draw(st.sampled_from(["business", "individual", "government", "intensive"]))
    changes = {
        "consolidate": draw(st.booleans()),
        "minimum_gap_days": draw(st.integers(0, 4)),
        "contact_cap": draw(st.sampled_from([None, {"contacts": 1, "days": 3}, {"contacts": 2, "days": 7}])),
        "minimum_balance": draw(st.sampled_from([{}, {"EUR": 1000, "JPY": 1000}])),
        "catch_up": draw(st.sampled_from(["collapse", "skip", "shift"])),
        "entry": draw(st.sampled_from(["first", "by-age"])),
    }
    if draw(st.booleans()):
        days = draw(st.sampled_from([["mon", "tue", "wed", "thu"], ["sun", "fri"], ["sat"]]))
        changes["window"] = {"days": days, "from": "07:30", "to": "21:45", "skip_holidays": draw(st.booleans())}
    return make_policy(base, **changes)


places = st.sampled_from(PLACES)
profiles: st.SearchStrategy[Profile] = st.sampled_from(["business", "individual", "government"])
FEW = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def run(ledger: list[Debt], policy: Policy, place: tuple[str, str | None], profile: Profile) -> Played:
    country, zone = place
    debtor = make_debtor(country=country, timezone=zone, profile=profile)
    return play(debtor, ledger, policy, until=UNTIL, zone=zone or "America/New_York")


@FEW
@given(ledger=debts(), policy=policies(), place=places, profile=profiles)
def test_every_step_that_fell_due_has_exactly_one_final_outcome(
    ledger: list[Debt], policy: Policy, place: tuple[str, str | None], profile: Profile
) -> None:
    done = run(ledger, policy, place, profile)
    finals = done.finals()
    assert all(len(outcomes) == 1 for outcomes in finals.values()), finals
    reviewed = {one.invoice.number for _, one in done.decisions if one.rule == "review"}
    for debt in ledger:
        for step in policy.steps:
            falls_on = debt.due + timedelta(step.offset)
            if debt.issue < falls_on < (debt.paid or date.max) and not debt.disputed and debt.number not in reviewed:
                assert (debt.number, step.key) in finals, (debt, step, done.decisions)


@given(ledger=debts(), policy=policies(), place=places, profile=profiles)
def test_the_first_look_is_at_the_earliest_of_all_steps(
    ledger: list[Debt], policy: Policy, place: tuple[str, str | None], profile: Profile
) -> None:
    country, zone = place
    days = days_of(make_debtor(country=country, timezone=zone, profile=profile), policy)
    for debt in ledger:
        invoice = make_invoice(issue=debt.issue.isoformat(), due=debt.due.isoformat())
        one = follow(invoice, policy, entered_on=debt.entered or debt.issue)
        earliest = min((step.at for step in plan(one, policy, days)), default=START_OF_TIME)
        assert first_look(one, policy, days, START_OF_TIME) == max(earliest, START_OF_TIME)


@given(debt=debts(), policy=policies(), place=places, after=st.integers(-5, 400))
def test_what_invoices_share_is_what_each_would_have(
    debt: list[Debt], policy: Policy, place: tuple[str, str | None], after: int
) -> None:
    debtor, one = make_debtor(country=place[0], timezone=place[1]), debt[0]
    entered_on = one.entered or one.issue
    now = utc(f"{entered_on + timedelta(after)} 12:00")
    shared = follow(make_invoice(issue=one.issue.isoformat(), due=one.due.isoformat()), policy, entered_on=entered_on)
    alone = shared._replace(progress={"of no step": Progress(outcome="sent")})  # its plan is made for itself
    days, work = days_of(debtor, policy), Work(Ledger(debtor, True, (shared,)), {ref(policy): policy}, now, uuid4)
    assert tuple(plan(shared, policy, days)) == tuple(plan(alone, policy, days))
    assert next_at(work, shared) == next_at(work, alone)
    goes, would_go = due_of(work, shared), due_of(work, alone)
    assert (goes and replace(goes, follow_up=alone)) == would_go


@FEW
@given(ledger=debts(), policy=policies(), place=places)
def test_a_review_changes_nothing_but_what_is_stored_of_it(
    ledger: list[Debt], policy: Policy, place: tuple[str, str | None]
) -> None:
    debtor, moment = make_debtor(country=place[0], timezone=place[1]), utc("2026-06-01 00:00")
    before = play(debtor, ledger, policy, until=moment, zone=place[1] or "America/New_York").ledger
    for look in foresee(before, {ref(policy): policy}, moment, UNTIL):
        for was, one in zip(before.follow_ups, look.review.ledger.follow_ups, strict=True):
            assert {name for name in was._fields if getattr(was, name) != getattr(one, name)} <= {"progress", *REVIEWED}
        before = assume_sent(look.review)


@FEW
@given(ledger=debts(), policy=policies(), place=places, profile=profiles)
def test_messages_keep_window_gap_cap_and_payment(
    ledger: list[Debt], policy: Policy, place: tuple[str, str | None], profile: Profile
) -> None:
    done = run(ledger, policy, place, profile)
    days = days_of(done.ledger.debtor, policy)
    by_number = {debt.number: debt for debt in ledger}
    for when, touch in done.touches:
        assert days.is_open(when)
        assert days.allows(touch.local_date)
        assert when < touch.valid_until <= days.closing(touch.local_date)
        if profile == "individual":
            assert all(8 <= when.astimezone(zone).hour < 21 for zone in _zones(days.zones))
        for item in touch.content:
            debt = by_number[item.invoice.number]
            assert debt.paid is None or touch.local_date < debt.paid
            assert not debt.disputed
            assert touch.local_date > debt.issue
    _contacts_keep_their_distance(done, policy, profile)


def _zones(names: tuple[str, ...]) -> list[object]:
    from zoneinfo import ZoneInfo

    return [ZoneInfo(name) for name in names]


def _contacts_keep_their_distance(done: Played, policy: Policy, profile: Profile) -> None:
    on = sorted(touch.local_date for _, touch in done.touches)
    assert all((after - before).days >= policy.minimum_gap_days for before, after in pairwise(on))
    caps = [policy.contact_cap] if policy.contact_cap else []
    for cap in caps:
        for first in on:
            assert len([day for day in on if first <= day < first + timedelta(cap.days)]) <= cap.contacts
    if profile == "individual":
        assert all(len([day for day in on if first <= day < first + timedelta(7)]) <= 7 for first in on)
    if policy.minimum_gap_days >= 1:
        assert max(Counter(on).values(), default=0) <= 1


@FEW
@given(ledger=debts(), policy=policies(), place=places, start=st.integers(0, 300))
def test_looking_again_at_the_same_moment_decides_nothing(
    ledger: list[Debt], policy: Policy, place: tuple[str, str | None], start: int
) -> None:
    country, zone = place
    debtor = make_debtor(country=country, timezone=zone)
    moment = utc("2026-01-01 10:30") + timedelta(days=start)
    entered = [debt for debt in ledger if debt.issue < moment.date()]
    if not entered:
        return
    done = play(debtor, entered, policy, until=moment, zone=zone or "America/New_York")
    first = review(done.ledger, {ref(policy): policy}, moment, uuid4)
    again = review(first.ledger, {ref(policy): policy}, moment, uuid4)
    assert (again.decisions, again.touches, again.next_at) == ((), (), first.next_at)


@FEW
@given(ledger=debts(), policy=policies(), place=places, start=st.integers(0, 200), length=st.integers(1, 40))
def test_after_an_outage_no_invoice_gets_two_reminders_at_once(
    ledger: list[Debt], policy: Policy, place: tuple[str, str | None], start: int, length: int
) -> None:
    country, zone = place
    begins = utc("2026-01-01 12:00") + timedelta(days=start)
    down = (begins, begins + timedelta(days=length))
    debtor = make_debtor(country=country, timezone=zone)
    done = play(debtor, ledger, policy, until=UNTIL, zone=zone or "America/New_York", down=down)
    per_day = Counter((item.invoice.number, touch.local_date) for _, touch in done.touches for item in touch.content)
    assert max(per_day.values(), default=0) <= 1
    assert all(len(outcomes) == 1 for outcomes in done.finals().values())


@FEW
@given(ledger=debts(), policy=policies(), place=places, days=st.integers(1, 90))
def test_after_payments_taken_back_nothing_goes_twice_and_every_step_ends(
    ledger: list[Debt], policy: Policy, place: tuple[str, str | None], days: int
) -> None:
    country, zone = place
    bounced = [replace(debt, back=debt.paid + timedelta(days)) if debt.paid else debt for debt in ledger]
    debtor = make_debtor(country=country, timezone=zone)
    done = play(debtor, bounced, policy, until=UNTIL, zone=zone or "America/New_York")
    gone = Counter((number, step) for (number, step), ends in done.finals().items() for end in ends if end[0] == "sent")
    assert max(gone.values(), default=0) <= 1
    per_day = Counter((item.invoice.number, touch.local_date) for _, touch in done.touches for item in touch.content)
    assert max(per_day.values(), default=0) <= 1
    for one in done.ledger.follow_ups:
        finals = {step for step, progress in one.progress.items() if progress.is_final and not progress.reopens}
        due, entry = one.invoice.due_date, old_debt(one, policy)
        fell_due = {s.key for s in policy.steps if due and due + timedelta(s.offset) > one.invoice.issue_date}
        assert finals >= fell_due or (entry and entry.under_review), (one.invoice.number, one.progress)


@FEW
@given(ledger=debts(), policy=policies(), place=places)
def test_a_preview_foresees_what_then_happens(
    ledger: list[Debt], policy: Policy, place: tuple[str, str | None]
) -> None:
    country, zone = place
    debtor = make_debtor(country=country, timezone=zone)
    open_ones = [Debt(d.number, d.issue, d.due, None, d.disputed, d.amount_minor) for d in ledger]
    moment = utc("2027-01-01 00:00")
    before = play(debtor, open_ones, policy, until=moment, zone=zone or "America/New_York")
    start: Ledger = before.ledger
    seen = [look for look in foresee(start, {ref(policy): policy}, moment, UNTIL) if look.review.touches]
    then = play(debtor, open_ones, policy, until=UNTIL, zone=zone or "America/New_York")
    happened = [(when, touch.step, touch.content) for when, touch in then.touches if when > moment]
    foreseen = [(look.at, touch.step, touch.content) for look in seen for touch in look.review.touches]
    assert [(a, b) for a, b, _ in foreseen] == [(a, b) for a, b, _ in happened]


@FEW
@given(ledger=debts(), place=places)
def test_where_nothing_is_shifted_merged_or_capped_it_is_arithmetic(
    ledger: list[Debt], place: tuple[str, str | None]
) -> None:
    """A step's day is due date + offset, kept when it is after the issue day and before the day of payment."""
    window = {"days": [*WEEKDAYS], "from": "09:00", "to": "17:00", "skip_holidays": False}
    plain = make_policy(window=window, consolidate=False, minimum_gap_days=0, contact_cap=None)
    timely = [replace(debt, entered=None) for debt in ledger]
    done = run(timely, plain, place, "business")
    expected = {
        (debt.number, step.key, debt.due + timedelta(step.offset))
        for debt in timely
        for step in plain.steps
        if not debt.disputed and debt.issue < debt.due + timedelta(step.offset) < (debt.paid or date.max)
    }
    sent = {(i.invoice.number, i.step, touch.local_date) for _, touch in done.touches for i in touch.content}
    assert sent == expected
