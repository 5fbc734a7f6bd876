"""A customer's clock on the wall: their date, and the hours in which an individual may be written to.

Nothing to an individual before 08:00 or from 21:00 at their place (12 CFR 1006.6(b)(1)).
"""

from __future__ import annotations

from datetime import date, datetime, time

from remit_events.state import CustomerState
from remit_service.calendars import WEEKDAYS, NoCommonWindow, WorkWindow, local_date, work_window, zones_of

OPENS = time(8)
CLOSES = time(21)


def may_go_from(customer: CustomerState, moment: datetime) -> datetime:
    """The first instant from `moment` on at which the customer may get a message; anyone but an individual: then.

    Where the zone is not known it must be allowed in every zone of the country.
    """
    if customer.profile != "individual":
        return moment
    try:
        return _hours(customer.country, customer.timezone).next_open(moment)
    except NoCommonWindow:
        # Zones too far apart to share an hour; the main one is the best guess there is.
        return _hours(customer.country, _main_zone(customer)).next_open(moment)


def local_day(customer: CustomerState, moment: datetime) -> date:
    """The date at the customer's place; the country's main zone stands for one that is not known."""
    return local_date(moment, customer.timezone or _main_zone(customer))


def earliest_local_day(customer: CustomerState, moment: datetime) -> date:
    """The date in that zone, of those the customer may be in, where it is earliest."""
    zones = (customer.timezone,) if customer.timezone else zones_of(customer.country)
    return min((local_date(moment, zone) for zone in zones), default=moment.date())


def _hours(country: str, zone: str | None) -> WorkWindow:
    return work_window(WEEKDAYS, OPENS, CLOSES, country=country, zone=zone, skip_holidays=False)


def _main_zone(customer: CustomerState) -> str:
    zones = zones_of(customer.country)
    return zones[0] if zones else "UTC"
