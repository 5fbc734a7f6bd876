"""Policies, calendars and zones as a reader of a simulation's files needs them; shares no code with Remit.

Working days come from the `holidays` package, a country's zones from IANA's zone.tab; both are data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import yaml

DAY = timedelta(days=1)
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Rules:
    """What of a policy can be checked from outside. `days`: weekdays by number, None for the country's working days."""

    offsets: dict[str, int]
    channels: dict[str, tuple[str, ...]]
    opens: time
    closes: time
    gap: int
    cap: int | None
    cap_days: int = 7
    days: frozenset[int] | None = None
    skip_holidays: bool = True
    minimum: dict[str, int] = field(default_factory=dict)


def rules_of(path: Path) -> Rules:
    """A policy file's."""
    policy: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    window, cap = policy["window"], policy["contact_cap"] or {"contacts": None, "days": 7}
    return Rules(
        offsets={step["key"]: step["offset"] for step in policy["steps"]},
        channels={step["key"]: tuple(step["channels"]) for step in policy["steps"]},
        opens=time.fromisoformat(window["from"]),
        closes=time.fromisoformat(window["to"]),
        gap=policy["minimum_gap_days"],
        cap=cap["contacts"],
        cap_days=cap["days"],
        days=None if window["days"] == "business" else frozenset(map(WEEK.index, window["days"])),
        skip_holidays=window["skip_holidays"],
        minimum=policy["minimum_balance"],
    )


def _default(steps: str, closes: int, gap: int, cap: int) -> Rules:
    """`steps`: key, offset and channels joined by plus signs, as domain-rules.md's table has them."""
    rows = [one.split() for one in steps.split(",")]
    offsets = {key: int(offset) for key, offset, _ in rows}
    channels = {key: tuple(names.split("+")) for key, _, names in rows}
    return Rules(offsets, channels, time(9), time(closes), gap, cap)


DEFAULTS = {
    "business": _default(
        "courtesy -7 email, tomorrow -1 email, day-after 1 email, second 7 email+sms, third 14 email+sms,"
        "final-notice 30 email+sms+letter",
        closes=17, gap=1, cap=3,
    ),
    "individual": _default(
        "minus-5 -5 email, minus-2 -2 email, due 0 email, plus-1 1 email+sms, plus-7 7 email+sms,"
        "plus-14 14 email+sms, plus-30 30 email+sms",
        closes=19, gap=1, cap=3,
    ),
    "government": _default(
        "minus-14 -14 email, minus-7 -7 email, plus-1 1 email, plus-15 15 email, plus-30 30 email+letter,"
        "plus-45 45 email+letter",
        closes=16, gap=3, cap=2,
    ),
}  # fmt: skip


@cache
def _zones(country: str) -> tuple[str, ...]:
    table = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in table.splitlines() if line and not line.startswith("#")]
    return tuple(row[2] for row in rows if row[0] == country)


@cache
def _calendar(country: str) -> holidays.HolidayBase:
    return holidays.country_holidays(country)


@dataclass(frozen=True)
class Place:
    """Where a customer is: with a blank zone anywhere in the country, so that only moments common to all count."""

    country: str
    zone: str
    rules: Rules

    @property
    def zones(self) -> tuple[ZoneInfo, ...]:
        return tuple(map(ZoneInfo, (self.zone,) if self.zone else _zones(self.country)))

    def allows(self, day: date) -> bool:
        """Whether that date has a window at all."""
        calendar, rules = _calendar(self.country), self.rules
        if rules.days is None:
            right = not calendar.is_weekend(day) and day not in calendar
        else:
            right = day.weekday() in rules.days and not (rules.skip_holidays and day in calendar)
        return right and self.opening(day) < min(self._at(day, rules.closes))

    def is_open(self, moment: datetime) -> bool:
        walls = [moment.astimezone(zone) for zone in self.zones]
        inside = all(self.rules.opens <= wall.time() < self.rules.closes for wall in walls)
        return inside and len({wall.date() for wall in walls}) == 1 and self.allows(walls[0].date())

    def opening(self, day: date) -> datetime:
        return max(self._at(day, self.rules.opens))

    def shifted(self, day: date, offset: int) -> date:
        """To the previous allowed day up to the due date, to the next one after it."""
        while not self.allows(day):
            day += -DAY if offset <= 0 else DAY
        return day

    def date(self, moment: datetime) -> date:
        """On the wall; with several zones the country's main one's."""
        return moment.astimezone(self.zones[0]).date()

    def begins(self, day: date) -> datetime:
        """When the day begins, where it begins first."""
        return min(self._at(day, time()))

    def business_begins(self, day: date) -> datetime:
        """08:00, where it comes last: when the ledger's invoices are issued."""
        return max(self._at(day, time(8)))

    def _at(self, day: date, wall: time) -> list[datetime]:
        return [datetime.combine(day, wall, zone).astimezone(UTC) for zone in self.zones]
