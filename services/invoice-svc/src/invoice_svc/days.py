"""A customer's days: which date it is at their place, and when a date has ended there.

A customer without a zone may be anywhere in their country, so a date has come only where it is latest and has ended
only where it is earliest.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Protocol

from remit_service.calendars import calendar, local_date, zones_of
from remit_service.zones import instant


class Place(Protocol):
    """Where a customer is."""

    @property
    def country(self) -> str: ...
    @property
    def timezone(self) -> str | None: ...


def today(now: datetime, place: Place) -> date:
    """The earliest date it may be at the customer's place."""
    return _dates(now, place.timezone, place.country)[0]


def latest_today(now: datetime, place: Place) -> date:
    """The latest date it may be at the customer's place: anything after it is in the future."""
    return _dates(now, place.timezone, place.country)[-1]


@lru_cache(maxsize=1024)
def _dates(now: datetime, timezone: str | None, country: str) -> list[date]:
    """Asked for every row of an import, whose rows have the same moment and mostly the same zone."""
    return sorted(local_date(now, zone) for zone in _zones(timezone, country))


@lru_cache(maxsize=8)
def latest_anywhere(now: datetime) -> date:
    """The latest date it is on earth (UTC+14): an invoice bears its seller's date, not the customer's."""
    return (now.astimezone(UTC) + timedelta(hours=14)).date()


def ended(day: date, place: Place) -> datetime:
    """The moment (UTC) from which `day` is over wherever the customer may be; a removed midnight moves forward."""
    return max(instant(day + timedelta(days=1), time(), zone) for zone in _zones(place.timezone, place.country))


def add_business_days(day: date, count: int, country: str) -> date:
    """The `count`-th business day of the country after `day`; `day` itself for 0."""
    return calendar(country).add_business_days(day, count)


def _zones(timezone: str | None, country: str) -> tuple[str, ...]:
    return (timezone,) if timezone else zones_of(country) or ("UTC",)
