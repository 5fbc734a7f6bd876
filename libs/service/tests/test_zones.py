"""Zones of countries and wall times as instants."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit_service.zones import countries, instant, local_date, local_time, sole_zone, zones_of


def test_zones_of_countries():
    assert zones_of("NP") == ("Asia/Kathmandu",)
    assert zones_of("DE") == ("Europe/Berlin", "Europe/Busingen")
    assert zones_of("US")[0] == "America/New_York"
    assert len(zones_of("US")) == 29
    assert zones_of("XX") == ()


@pytest.mark.parametrize(
    ("country", "zone"),
    [
        ("NP", "Asia/Kathmandu"),
        ("GB", "Europe/London"),
        ("DE", "Europe/Berlin"),
        ("US", None),
        ("ES", None),
        ("AU", None),
        ("BV", None),
    ],
)
def test_a_blank_zone_is_filled_where_there_is_no_choice(country, zone):
    assert sole_zone(country) == zone


def test_countries():
    assert {"DE", "US", "GB", "AE", "TW"} <= countries()
    assert not {"UK", "EU", "XX", "de"} & countries()
    assert len(countries()) == 249


def test_every_zone_of_the_table_can_be_opened():
    for country in countries():
        for zone in zones_of(country):
            ZoneInfo(zone)


def test_dates_on_the_wall():
    moment = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
    assert local_date(moment, "Pacific/Kiritimati") == date(2026, 3, 3)
    assert local_date(moment, "Pacific/Pago_Pago") == date(2026, 3, 1)
    assert local_time(moment, "Asia/Kathmandu") == time(16, 15)


def test_moments_that_look_the_same_are_not():
    """Of an hour shown twice: equal by Python's rules, and yet an hour apart."""
    twice = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    assert [local_time(twice.replace(fold=fold), "UTC") for fold in (0, 1)] == [time(0, 30), time(1, 30)]


@settings(max_examples=500, deadline=None)
@given(
    day=st.dates(date(1975, 1, 1), date(2037, 12, 31)),
    wall=st.times().map(lambda t: t.replace(microsecond=0)),
    zone=st.sampled_from(sorted(name for name in available_timezones() if "/" in name)),
)
def test_an_instant_shows_its_wall_time_or_is_the_end_of_a_gap(day, wall, zone):
    moment = instant(day, wall, zone)
    shown = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    wanted = datetime.combine(day, wall)
    assert shown >= wanted
    if shown > wanted:  # the clocks jumped: one second before, they showed less than what was asked for
        earlier = datetime.fromtimestamp(moment.timestamp() - 1, ZoneInfo(zone)).replace(tzinfo=None)
        assert earlier < wanted


@pytest.mark.parametrize(
    ("day", "wall", "zone"),
    [
        (date(2025, 9, 7), time(0, 20), "America/Santiago"),
        (date(2017, 10, 15), time(0, 59, 59), "America/Sao_Paulo"),
        (date(2026, 10, 4), time(2, 10), "Australia/Lord_Howe"),
        (date(2011, 12, 30), time(12), "Pacific/Apia"),
        (date(2026, 3, 29), time(2, 1), "Europe/Berlin"),
        (date(2026, 4, 24), time(0), "Africa/Cairo"),
        (date(2026, 3, 28), time(23, 30), "America/Nuuk"),
    ],
)
def test_a_removed_time_moves_to_the_first_that_exists(day, wall, zone):
    shown = instant(day, wall, zone).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert shown > datetime.combine(day, wall)
    before = instant(day, wall, zone).timestamp() - 1
    assert datetime.fromtimestamp(before, ZoneInfo(zone)).replace(tzinfo=None) < datetime.combine(day, wall)


def test_of_a_time_shown_twice_the_first_is_meant():
    assert instant(date(2026, 10, 25), time(2, 30), "Europe/Berlin") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
