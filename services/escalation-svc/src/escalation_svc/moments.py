"""A customer's place: which day it is there, and when the window opens that the last PaymentDue named.

Before any PaymentDue was seen the window is taken to be business days from 09:00 (docs/adr/0005).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal

from remit_events.schedule import Window
from remit_events.state import CustomerState
from remit_service.calendars import WorkWindow, work_window, zones_of

Days = Literal["business"] | tuple[str, ...]
ASSUMED = Window(days="business", opens=time(9), until=time(17))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a customer is and when their window is open."""

    window: WorkWindow

    @classmethod
    def of(cls, customer: CustomerState, window: Window | None) -> Place:
        chosen = window or ASSUMED
        return _place(
            chosen.days, chosen.opens, chosen.until, chosen.skip_holidays, customer.country, customer.timezone
        )

    def day(self, moment: datetime) -> date:
        """The local date of a moment."""
        return self.window.local_date(moment)

    def evaluation(self, day: date, settle: timedelta) -> datetime:
        """When rungs are looked at on the first allowed day from `day` on: its opening, plus what steps need to go."""
        return self.window.opening(self.window.next_allowed_day(day)) + settle

    def next_evaluation(self, day: date, now: datetime, settle: timedelta, *, after: bool = False) -> datetime:
        """The first evaluation on or after `day` that is not before `now` (`after`: that is later than `now`)."""
        moment = self.evaluation(max(day, self.day(now)), settle)
        while moment < now or (after and moment == now):
            day = self.day(moment) + timedelta(days=1)
            moment = self.evaluation(day, settle)
        return moment

    def may_evaluate(self, now: datetime, settle: timedelta) -> bool:
        """Whether today is an allowed day and its evaluation has come."""
        today = self.day(now)
        return self.window.is_allowed_day(today) and now >= self.window.opening(today) + settle


@lru_cache(maxsize=10_000)
def _place(days: Days, opens: time, until: time, skip_holidays: bool, country: str, zone: str | None) -> Place:
    window = work_window(days, opens, until, country=country, zone=zone, skip_holidays=skip_holidays)
    if not window.possible:
        # No moment suits all zones of the country: the main one's day decides, as what is sent passes the gate anyway.
        main = next(iter(zones_of(country)), "UTC")
        window = work_window(days, opens, until, country=country, zone=main, skip_holidays=skip_holidays)
    return Place(window)
