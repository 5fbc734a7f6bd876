"""Working days and sending windows: pure, deterministic, cached. Source of days off: the `holidays` library.

A window on a day is the set of instants whose local date is that day and whose wall time lies in [opens, until). For
a customer whose country has several zones and who gave none, it is what all of them have in common.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import cached_property, lru_cache
from importlib.metadata import version
from typing import Literal

import holidays
from holidays.registry import EntityLoader

from remit_service.zones import instant, local_date, local_time, sole_zone, zones_of

__all__ = [
    "Calendar",
    "NoCommonWindow",
    "WorkWindow",
    "calendar",
    "calendar_source",
    "local_date",
    "sole_zone",
    "work_window",
    "zones_of",
]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Days = Literal["business"] | tuple[str, ...]

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_FARTHEST = 400  # days searched for an allowed one; a year has some in every country


class NoCommonWindow(ValueError):  # noqa: N818  # the answer, rather than a fault
    """No day allows anything: the zones of the country lie too far apart for this window; a zone must be given."""


class Calendar:
    """A country's working days: its weekend and its national public holidays; `known` False: weekends only."""

    def __init__(self, country: str) -> None:
        self.country = country
        self.known = country in _supported()
        self._off: dict[date, bool] = {}
        self._years: dict[int, holidays.HolidayBase] = {}

    def is_holiday(self, day: date) -> bool:
        """A national public holiday, observed days included; never in a country the source does not know."""
        return self.known and day in self._year(day.year)

    def holiday_name(self, day: date) -> str | None:
        """What the source calls that day off, None when it is none."""
        return self._year(day.year).get(day) if self.known else None

    def is_weekend(self, day: date) -> bool:
        """By the country's week at that time: the Emirates changed theirs in 2022."""
        return bool(self._year(day.year).is_weekend(day)) if self.known else day.weekday() >= 5

    def is_business_day(self, day: date) -> bool:
        """Neither weekend nor holiday. A weekend day the state declares a working day stays a day off here."""
        off = self._off.get(day)
        if off is None:
            off = self._off[day] = self.is_weekend(day) or self.is_holiday(day)
        return not off

    def next_business_day(self, day: date) -> date:
        """The first on or after `day`."""
        while not self.is_business_day(day):
            day += _DAY
        return day

    def previous_business_day(self, day: date) -> date:
        """The last on or before `day`."""
        while not self.is_business_day(day):
            day -= _DAY
        return day

    def add_business_days(self, day: date, count: int) -> date:
        """The `count`-th business day after `day` (itself when 0)."""
        for _ in range(count):
            day = self.next_business_day(day + _DAY)
        return day

    def _year(self, year: int) -> holidays.HolidayBase:
        if year not in self._years:
            self._years[year] = holidays.country_holidays(self.country, years=year, expand=False)
        return self._years[year]


@lru_cache(maxsize=1)
def _supported() -> frozenset[str]:
    # list_supported_countries() would load every country's module: 8 MB and a tenth of a second at each start.
    return frozenset(EntityLoader.get_country_codes(include_aliases=False))


@lru_cache(maxsize=512)
def calendar(country: str) -> Calendar:
    """The calendar of a country (ISO 3166-1 alpha-2), one object per process."""
    return Calendar(country)


@lru_cache(maxsize=1)
def calendar_source() -> str:
    """Where days off come from, as recorded with each decision."""
    return f"holidays {version('holidays')}"


class WorkWindow:
    """When follow-up may go to customers of one country and zone under one policy; get it by `work_window`.

    `zones` are all that must agree. Days are dates there; instants are UTC.
    """

    def __init__(
        self, days: Days, opens: time, until: time, skip_holidays: bool, country: str, zones: tuple[str, ...]
    ) -> None:
        self.calendar = calendar(country)
        self.opens, self.until, self.zones = opens, until, zones
        self._business = days == "business"
        self._weekdays = frozenset(WEEKDAYS.index(name) for name in days) if days != "business" else frozenset()
        self._skip_holidays = skip_holidays
        self._bounds: dict[date, tuple[datetime, datetime] | None] = {}

    def is_allowed_day(self, day: date) -> bool:
        """Whether anything may go on that date: the right kind of day, with a moment in it that all zones share."""
        return self._open_on(day) is not None

    def next_allowed_day(self, day: date) -> date:
        """The first on or after `day`; raises NoCommonWindow."""
        return self._search(day, _DAY)

    def previous_allowed_day(self, day: date) -> date:
        """The last on or before `day`; raises NoCommonWindow."""
        return self._search(day, -_DAY)

    def opening(self, day: date) -> datetime:
        """The first instant of the window on an allowed day; ValueError on another."""
        return self._of(day)[0]

    def closing(self, day: date) -> datetime:
        """The end, exclusive, of the window on an allowed day; ValueError on another."""
        return self._of(day)[1]

    def is_open(self, moment: datetime) -> bool:
        """Whether something may go now."""
        bounds = self._open_on(self.local_date(moment))
        return bounds is not None and bounds[0] <= moment < bounds[1] and self._on_every_wall(moment)

    def next_open(self, moment: datetime) -> datetime:
        """The first instant from `moment` on at which something may go; raises NoCommonWindow."""
        if self.is_open(moment):
            return moment
        if (again := self._shown_again(moment)) is not None:
            return again
        # The day before as well: with zones apart, the main one may be a day ahead of the window still to open.
        day = self.next_allowed_day(self.local_date(moment) - _DAY)
        while self.opening(day) < moment:
            day = self.next_allowed_day(day + _DAY)
        return self.opening(day)

    def local_date(self, moment: datetime) -> date:
        """The date on the customer's wall; with several zones the main one's, the same in all while open."""
        return local_date(moment, self.zones[0] if self.zones else "UTC")

    @cached_property
    def possible(self) -> bool:
        """False when no day allows anything: then a zone must be asked for."""
        try:
            self.next_allowed_day(date(2024, 1, 1))
        except NoCommonWindow:
            return False
        return True

    def _right_kind(self, day: date) -> bool:
        if self._business:
            return self.calendar.is_business_day(day)
        return day.weekday() in self._weekdays and not (self._skip_holidays and self.calendar.is_holiday(day))

    def _open_on(self, day: date) -> tuple[datetime, datetime] | None:
        try:
            return self._bounds[day]
        except KeyError:
            bounds = self._bounds[day] = self._common(day) if self._right_kind(day) else None
            return bounds

    def _common(self, day: date) -> tuple[datetime, datetime] | None:
        if not self.zones:
            return None
        first = max(instant(day, self.opens, zone) for zone in self.zones)
        last = min(instant(day, self.until, zone) for zone in self.zones)
        # None on a date a zone jumped over altogether (Samoa, 30 December 2011), nor in zones too far apart.
        return (first, last) if first < last else None

    def _on_every_wall(self, moment: datetime) -> bool:
        """Not in the hour that clocks set back show again."""
        return all(self.opens <= local_time(moment, zone) < self.until for zone in self.zones)

    def _shown_again(self, moment: datetime) -> datetime | None:
        """When clocks set back during the window have caught up with its opening; by whole minutes, at most a day's."""
        bounds = self._open_on(self.local_date(moment))
        if bounds is None or not bounds[0] <= moment < bounds[1]:
            return None
        minute = moment.replace(second=0, microsecond=0) + _MINUTE
        while minute < bounds[1]:
            if self._on_every_wall(minute):
                return minute
            minute += _MINUTE
        return None

    def _of(self, day: date) -> tuple[datetime, datetime]:
        bounds = self._open_on(day)
        if bounds is None:
            raise ValueError(f"{day.isoformat()} is no allowed day of this window")
        return bounds

    def _search(self, day: date, step: timedelta) -> date:
        for _ in range(_FARTHEST):
            if self._open_on(day) is not None:
                return day
            day += step
        raise NoCommonWindow(f"{self.opens:%H:%M}–{self.until:%H:%M} is never open in all of {', '.join(self.zones)}")


@lru_cache(maxsize=4096)
def work_window(
    days: Days, opens: time, until: time, *, country: str, zone: str | None, skip_holidays: bool = True
) -> WorkWindow:
    """The window of a policy at a customer's place; `zone` None: in every zone of the country at once.

    `days` is `business` (always less holidays) or weekdays as ("mon", "tue"); `until` is exclusive, after `opens`.
    """
    if opens >= until:
        raise ValueError(f"an empty window: {opens:%H:%M} to {until:%H:%M}")
    return WorkWindow(days, opens, until, skip_holidays, country, (zone,) if zone else zones_of(country))
