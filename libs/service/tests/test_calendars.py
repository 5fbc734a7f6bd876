"""Working days and windows: the published examples, odd zones, and what must hold for all of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit_service.calendars import Calendar, NoCommonWindow, WorkWindow, calendar, calendar_source, work_window

OFFICE = (time(9), time(17))
EVERY_DAY = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def business(country: str, zone: str | None = None, opens: time = OFFICE[0], until: time = OFFICE[1]) -> WorkWindow:
    return work_window("business", opens, until, country=country, zone=zone)


def test_the_example_of_the_rules():
    """Due Saturday 2026-12-26 in Germany: -1 moves back over Christmas, +1 on over the weekend."""
    window = business("DE", "Europe/Berlin")
    assert window.previous_allowed_day(date(2026, 12, 25)) == date(2026, 12, 24)
    assert window.next_allowed_day(date(2026, 12, 27)) == date(2026, 12, 28)
    assert window.opening(date(2026, 12, 28)) == datetime(2026, 12, 28, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("country", "day", "works"),
    [
        ("DE", date(2026, 10, 3), False),  # national, on a Saturday
        ("DE", date(2026, 6, 4), True),  # Corpus Christi: some states only
        ("US", date(2026, 7, 3), False),  # Independence Day observed
        ("US", date(2021, 12, 31), False),  # New Year's Day of the next year, observed
        ("IL", date(2026, 3, 1), True),  # a Sunday
        ("IL", date(2026, 3, 6), False),  # a Friday
        ("SA", date(2026, 3, 1), True),
        ("EG", date(2026, 3, 6), False),
        ("AE", date(2021, 6, 4), False),  # Friday was the weekend until 2022
        ("AE", date(2026, 6, 5), True),
        ("AE", date(2026, 6, 7), False),
        ("CN", date(2026, 2, 14), False),  # a Saturday declared a working day stays a day off
        ("NP", date(2026, 6, 6), False),
    ],
)
def test_days_on_and_off(country, day, works):
    assert calendar(country).is_business_day(day) is works


def test_a_country_the_source_does_not_know_has_weekends_only():
    unknown = Calendar("XK2")
    assert not unknown.known
    assert not unknown.is_holiday(date(2026, 1, 1))
    assert unknown.is_business_day(date(2026, 1, 1))
    assert not unknown.is_business_day(date(2026, 1, 3))
    assert calendar("DE").known


def test_the_source_has_its_version():
    assert calendar_source() == f"holidays {holidays.__version__}"


def test_counting_business_days():
    german = calendar("DE")
    assert german.add_business_days(date(2026, 12, 23), 2) == date(2026, 12, 28)
    assert german.add_business_days(date(2026, 12, 25), 0) == date(2026, 12, 25)
    assert german.next_business_day(date(2026, 12, 25)) == date(2026, 12, 28)
    assert german.previous_business_day(date(2026, 12, 26)) == date(2026, 12, 24)


def test_a_list_of_weekdays_has_holidays_of_its_own_choice():
    with_, without = (
        work_window(("mon", "fri"), *OFFICE, country="DE", zone="Europe/Berlin", skip_holidays=skip)
        for skip in (False, True)
    )
    new_year = date(2027, 1, 1)  # a Friday
    assert with_.is_allowed_day(new_year)
    assert not without.is_allowed_day(new_year)
    assert not with_.is_allowed_day(date(2026, 12, 31))
    assert without.next_allowed_day(new_year) == date(2027, 1, 4)


def test_the_end_is_exclusive():
    window = business("DE", "Europe/Berlin")
    day = date(2026, 3, 2)
    opening, closing = window.opening(day), window.closing(day)
    assert [window.is_open(at) for at in (opening, closing - timedelta(seconds=1), closing)] == [True, True, False]
    assert not window.is_open(opening - timedelta(microseconds=1))
    assert window.next_open(closing) == opening + timedelta(days=1)
    assert window.next_open(opening + timedelta(hours=1)) == opening + timedelta(hours=1)


def test_days_off_have_no_opening():
    with pytest.raises(ValueError, match="2026-03-01 is no allowed day"):
        business("DE", "Europe/Berlin").opening(date(2026, 3, 1))


def test_an_empty_window_is_refused():
    with pytest.raises(ValueError, match="empty window"):
        work_window("business", time(17), time(9), country="DE", zone="Europe/Berlin")


# A country without a zone: only what all of its zones share.


def test_several_zones_share_the_middle_of_the_day():
    window = business("US")
    day = date(2026, 7, 1)
    assert window.opening(day) == datetime(2026, 7, 1, 19, tzinfo=UTC)  # 09:00 in Honolulu
    assert window.closing(day) == datetime(2026, 7, 1, 21, tzinfo=UTC)  # 17:00 in New York


def test_zones_too_far_apart_share_nothing():
    window = business("RU")
    assert not window.possible
    assert not window.is_open(datetime(2026, 7, 1, 9, tzinfo=UTC))
    with pytest.raises(NoCommonWindow, match="never open in all of Europe/Kaliningrad"):
        window.next_open(datetime(2026, 7, 1, 9, tzinfo=UTC))
    assert business("RU", "Europe/Moscow").possible


def test_a_country_nobody_lives_in():
    assert not business("BV").possible


@pytest.mark.parametrize("country", ["US", "CA", "AU", "BR", "MX", "ID", "KI", "ES", "PT", "CL", "MN", "CD"])
def test_inside_a_shared_window_it_is_inside_in_every_zone(country):
    window = business(country)
    day = date(2026, 3, 1)
    for _ in range(60):
        day = window.next_allowed_day(day + timedelta(days=1))
        for moment in (window.opening(day), window.closing(day) - timedelta(seconds=1)):
            for zone in window.zones:
                local = moment.astimezone(ZoneInfo(zone))
                assert (local.date(), OFFICE[0] <= local.time() < OFFICE[1]) == (day, True)


# Clock changes.


@pytest.mark.parametrize(
    ("zone", "country", "day", "opens", "utc"),
    [
        ("Europe/Berlin", "DE", date(2026, 3, 29), time(2, 30), "2026-03-29T01:00+00:00"),
        ("America/Santiago", "CL", date(2025, 9, 7), time(0), "2025-09-07T04:00+00:00"),
        ("America/Sao_Paulo", "BR", date(2017, 10, 15), time(0), "2017-10-15T03:00+00:00"),
        ("Australia/Lord_Howe", "AU", date(2026, 10, 4), time(2, 15), "2026-10-03T15:30+00:00"),
        ("Pacific/Chatham", "NZ", date(2026, 9, 27), time(3, 0), "2026-09-26T14:00+00:00"),
        ("Asia/Kathmandu", "NP", date(2026, 6, 1), time(9), "2026-06-01T03:15+00:00"),
        ("America/New_York", "US", date(2026, 11, 1), time(1, 30), "2026-11-01T05:30+00:00"),
    ],
)
def test_openings_on_days_of_clock_changes(zone, country, day, opens, utc):
    window = work_window(EVERY_DAY, opens, time(12), country=country, zone=zone, skip_holidays=False)
    assert window.opening(day) == datetime.fromisoformat(utc)
    assert window.is_open(window.opening(day))


def test_a_date_that_was_jumped_over_is_no_day():
    """Samoa went from 29 to 31 December 2011."""
    window = work_window(EVERY_DAY, time(9), time(17), country="WS", zone="Pacific/Apia", skip_holidays=False)
    assert not window.is_allowed_day(date(2011, 12, 30))
    assert window.next_allowed_day(date(2011, 12, 30)) == date(2011, 12, 31)


def test_the_hour_shown_twice_counts_once():
    window = work_window(EVERY_DAY, time(1), time(1, 30), country="US", zone="America/New_York", skip_holidays=False)
    first, again = (datetime(2026, 11, 1, hour, 10, tzinfo=UTC) for hour in (5, 6))
    assert window.is_open(first)
    assert not window.is_open(again)


def test_clocks_set_back_to_before_the_opening_close_the_window_until_it_comes_again():
    window = work_window(EVERY_DAY, time(1, 30), time(3), country="US", zone="America/New_York", skip_holidays=False)
    at = [datetime(2026, 11, 1, *clock, tzinfo=UTC) for clock in ((5, 30), (6, 0, 1), (6, 29, 59), (6, 30), (7, 59))]
    assert [window.is_open(moment) for moment in at] == [True, False, False, True, True]
    assert window.next_open(at[1]) == window.next_open(at[2]) == at[3]


ZONES = [
    ("AU", "Australia/Lord_Howe"), ("NP", "Asia/Kathmandu"), ("BR", "America/Sao_Paulo"), ("NZ", "Pacific/Chatham"),
    ("CL", "America/Santiago"), ("IL", "Asia/Jerusalem"), ("SA", "Asia/Riyadh"), ("EG", "Africa/Cairo"),
    ("US", "America/New_York"), ("DE", "Europe/Berlin"), ("IR", "Asia/Tehran"), ("CA", "America/St_Johns"),
    ("MA", "Africa/Casablanca"), ("GL", "America/Nuuk"), ("LB", "Asia/Beirut"), ("KI", "Pacific/Kiritimati"),
    ("US", None), ("AU", None), ("CA", None), ("BR", None), ("ES", None), ("DE", None),
]  # fmt: skip
walls = st.times().map(lambda t: t.replace(second=0, microsecond=0))
days = st.dates(date(2016, 1, 1), date(2027, 12, 31))
moments = st.integers(0, 12 * 365 * 86400).map(lambda s: datetime(2016, 1, 2, tzinfo=UTC) + timedelta(seconds=s))


@st.composite
def windows(draw) -> WorkWindow:
    country, zone = draw(st.sampled_from(ZONES))
    if zone is None:  # what is shared must not be empty
        opens, until = draw(st.sampled_from([OFFICE, (time(8), time(21))]))
    else:
        opens, until = draw(st.tuples(walls, walls).filter(lambda pair: pair[0] < pair[1]))
    kind = draw(st.just("business") | st.sets(st.sampled_from(EVERY_DAY), min_size=1).map(lambda s: tuple(sorted(s))))
    return work_window(kind, opens, until, country=country, zone=zone, skip_holidays=draw(st.booleans()))


@settings(max_examples=100, deadline=None)
@given(window=windows(), day=days)
def test_a_shift_lands_on_an_allowed_day_and_skips_none(window, day):
    after, before = window.next_allowed_day(day), window.previous_allowed_day(day)
    assert before <= day <= after
    assert window.is_allowed_day(after)
    assert window.is_allowed_day(before)
    assert (before == after == day) == window.is_allowed_day(day)
    assert not any(window.is_allowed_day(before + timedelta(days=n)) for n in range(1, (after - before).days))


@settings(max_examples=100, deadline=None)
@given(window=windows(), day=days)
def test_an_opening_is_the_first_open_moment_of_its_day(window, day):
    day = window.next_allowed_day(day)
    opening, closing = window.opening(day), window.closing(day)
    assert opening < closing
    assert window.is_open(opening)
    assert not window.is_open(opening - timedelta(seconds=1))
    assert not window.is_open(closing)
    for zone in window.zones:
        local = opening.astimezone(ZoneInfo(zone))
        assert local.date() == day
        assert window.opens <= local.time() < window.until


@settings(max_examples=100, deadline=None)
@given(window=windows(), moment=moments)
def test_the_next_open_moment_is_open_and_none_was_before(window, moment):
    found = window.next_open(moment)
    assert found >= moment
    assert window.is_open(found)
    if found > moment:
        assert not window.is_open(moment)
        step = (found - moment) / 7
        assert not any(window.is_open(moment + step * n) for n in range(1, 7))


@settings(max_examples=100, deadline=None)
@given(window=windows(), moment=moments)
def test_open_means_allowed_day_and_wall_time_in_every_zone(window, moment):
    if window.is_open(moment):
        for zone in window.zones:
            local = moment.astimezone(ZoneInfo(zone))
            assert window.is_allowed_day(local.date())
            assert window.opens <= local.time() < window.until


def test_asking_again_costs_next_to_nothing():
    import timeit

    window = business("US")
    moment = window.opening(window.next_allowed_day(date(2026, 3, 2)))
    window.is_open(moment)
    assert timeit.timeit(lambda: window.next_allowed_day(date(2026, 3, 1)), number=1000) < 0.5
