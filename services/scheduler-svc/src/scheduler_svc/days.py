"""The days and hours at which one customer may be followed up under one policy: law and policy, the strictest wins.

Nothing goes to an individual before 08:00 or after 21:00 at their place (12 CFR 1006.6), whatever a policy says.
"""

from __future__ import annotations

from datetime import date, datetime, time
from functools import lru_cache

from remit_events.schedule import Window
from remit_events.state import CustomerState, Profile
from remit_service.calendars import WEEKDAYS, WorkWindow, calendar_source, local_date, work_window, zones_of
from scheduler_svc.ledger import Debtor
from scheduler_svc.policy import Policy, WindowSpec

LAW_OPENS = time(8)
LAW_UNTIL = time(21)


class Days:
    """A window at a customer's place; days are dates there, moments are UTC.

    Where no moment may be used at all (zones too far apart, law and policy leave nothing) `ever_open` is False and
    the days are those of the country's main zone: enough to say what falls due when.
    """

    def __init__(self, spec: WindowSpec, country: str, zone: str | None, profile: Profile) -> None:
        opens, until = spec.opens, spec.until
        if profile == "individual":
            opens, until = max(opens, LAW_OPENS), min(until, LAW_UNTIL)
        self.lawful = opens < until
        if not self.lawful:
            opens, until = spec.opens, spec.until
        self.window = Window(days=spec.days, opens=opens, until=until, skip_holidays=spec.skip_holidays)
        self.zones = (zone,) if zone else zones_of(country)
        within = self._within(country, zone)
        self.ever_open = self.lawful and within.possible
        self._window = within if within.possible else self._within(country, self.zones[0] if self.zones else "UTC")
        self.source = calendar_source() if within.calendar.known else f"weekends only, {country} is not known"

    def _within(self, country: str, zone: str | None) -> WorkWindow:
        spec = self.window
        return work_window(
            spec.days, spec.opens, spec.until, country=country, zone=zone, skip_holidays=spec.skip_holidays
        )

    def local_date(self, moment: datetime) -> date:
        return self._window.local_date(moment)

    def allows(self, day: date) -> bool:
        return self._window.is_allowed_day(day)

    def next_allowed(self, day: date) -> date:
        """`day` itself or the first allowed day after it."""
        return self._window.next_allowed_day(day)

    def previous_allowed(self, day: date) -> date:
        """`day` itself or the last allowed day before it."""
        return self._window.previous_allowed_day(day)

    def opening(self, day: date) -> datetime:
        """Of an allowed day; ValueError on another."""
        return self._window.opening(day)

    def closing(self, day: date) -> datetime:
        """Of an allowed day, exclusive; ValueError on another."""
        return self._window.closing(day)

    def is_open(self, moment: datetime) -> bool:
        return self.ever_open and self._window.is_open(moment)

    def why_off(self, day: date) -> str | None:
        """The holiday or weekday that keeps `day` off, None when it is allowed."""
        if self.allows(day):
            return None
        minds_holidays = self.window.days == "business" or self.window.skip_holidays
        name = self._window.calendar.holiday_name(day) if minds_holidays else None
        return name or WEEKDAYS[day.weekday()]


@lru_cache(maxsize=8192)
def _days(spec: WindowSpec, country: str, zone: str | None, profile: Profile) -> Days:
    return Days(spec, country, zone, profile)


def days_of(whose: Debtor | CustomerState, policy: Policy) -> Days:
    """The window of a policy at a customer's place, one object per window, country, zone and profile."""
    return _days(policy.window, whose.country, whose.timezone, whose.profile)


def today_of(whose: Debtor | CustomerState, moment: datetime) -> date:
    """The date at the customer's place; in the main zone of a country with several, where none was given."""
    zones = (whose.timezone,) if whose.timezone else zones_of(whose.country)
    return local_date(moment, zones[0] if zones else "UTC")
