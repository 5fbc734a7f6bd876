"""Nothing to an individual outside 08:00-21:00 at their place, wherever they may be."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from remit_testing.notifier_samples import new_customer

from notifier_svc.hours import earliest_local_day, local_day, may_go_from
from remit_service.calendars import zones_of

START = datetime(2024, 1, 1, tzinfo=UTC)
moments = st.integers(0, 4 * 365 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))
ODD = ["Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo", "Pacific/Chatham", "Europe/Berlin"]


@settings(deadline=None)
@given(moments, st.sampled_from(ODD))
def test_an_individual_is_written_to_in_the_day_only(moment: datetime, zone: str) -> None:
    customer = new_customer(profile="individual", timezone=zone)
    goes = may_go_from(customer, moment)
    local = goes.astimezone(ZoneInfo(zone))
    assert 8 <= local.hour < 21
    assert moment <= goes < moment + timedelta(hours=12)
    assert goes == moment or (local.hour, local.minute) == (8, 0)


@settings(deadline=None)
@given(moments, st.sampled_from(["US", "AU", "BR", "RU"]))
def test_with_several_zones_it_is_day_in_all_of_them(moment: datetime, country: str) -> None:
    customer = new_customer(profile="individual", country=country, timezone=None)
    goes = may_go_from(customer, moment)
    assert all(8 <= goes.astimezone(ZoneInfo(zone)).hour < 21 for zone in zones_of(country))


@pytest.mark.parametrize("profile", ["business", "government"])
def test_others_have_no_such_hours(profile: str) -> None:
    night = datetime(2026, 3, 2, 2, tzinfo=UTC)
    assert may_go_from(new_customer(profile=profile), night) == night


def test_the_local_day_is_the_customers() -> None:
    night = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    assert local_day(new_customer(), night) == date(2026, 3, 3)
    somewhere = new_customer(country="US", timezone=None)
    assert local_day(somewhere, datetime(2026, 3, 2, 6, tzinfo=UTC)) == date(2026, 3, 2)
    assert earliest_local_day(somewhere, datetime(2026, 3, 2, 6, tzinfo=UTC)) == date(2026, 3, 1)
