"""Time zones: which ones a country has, and wall times as instants. Source: IANA's zone.tab, by the tzdata package."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

_SECOND = timedelta(seconds=1)


@lru_cache(maxsize=1)
def _table() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for line in files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            found.setdefault(country, []).append(zone)
    return {country: tuple(zones) for country, zones in found.items()}


@lru_cache(maxsize=1)
def countries() -> frozenset[str]:
    """The ISO 3166-1 alpha-2 codes in use, by IANA's iso3166.tab."""
    text = files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text(encoding="utf-8")
    return frozenset(line[:2] for line in text.splitlines() if line and not line.startswith("#"))


def zones_of(country: str) -> tuple[str, ...]:
    """The zones of a country (ISO 3166-1 alpha-2), the main one first; empty for one nobody lives in."""
    return _table().get(country, ())


@lru_cache(maxsize=512)
def sole_zone(country: str) -> str | None:
    """The zone a blank one is filled with: the only one, or the first of several whose clocks always agree.

    Germany has two by the table, Berlin and Büsingen, whose clocks have shown the same since 1981.
    """
    zones = [ZoneInfo(name) for name in zones_of(country)]
    if not zones:
        return None
    for days in range(366 * 38):
        moment = datetime(2000, 1, 1, 12, tzinfo=UTC) + timedelta(days=days)
        if len({moment.astimezone(zone).utcoffset() for zone in zones}) > 1:
            return None
        if len(zones) == 1:
            break
    return zones[0].key


def local_date(moment: datetime, zone: str) -> date:
    """The date on the wall there."""
    # Of a batch all ask about one moment. Only in UTC two that are equal are the same instant (PEP 495).
    return _local(moment, zone).date() if moment.tzinfo is UTC else moment.astimezone(ZoneInfo(zone)).date()


def local_time(moment: datetime, zone: str) -> time:
    """The time on the wall there."""
    return _local(moment, zone).time() if moment.tzinfo is UTC else moment.astimezone(ZoneInfo(zone)).time()


@lru_cache(maxsize=4096)
def _local(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(zone))


@lru_cache(maxsize=65536)
def instant(day: date, wall: time, zone: str) -> datetime:
    """When the clocks in `zone` show `wall` on `day`, in UTC.

    A time that a clock change removes moves forward to the first that exists; of two, it is the first.
    """
    there = ZoneInfo(zone)
    local = datetime.combine(day, wall, there)
    moment = local.astimezone(UTC)
    if moment.astimezone(there).replace(tzinfo=None) == local.replace(tzinfo=None):
        return moment
    return _gap_end(local, there)


def _gap_end(removed: datetime, there: ZoneInfo) -> datetime:
    """The instant of the clock change that removed a local time, by bisection between its two readings."""
    naive = removed.replace(tzinfo=None)
    before, after = _offset(removed.replace(fold=0)), _offset(removed.replace(fold=1))
    early, late = (naive - after).replace(tzinfo=UTC), (naive - before).replace(tzinfo=UTC)
    while late - early > _SECOND:
        middle = early + timedelta(seconds=(late - early) // _SECOND // 2)
        if _offset(middle.astimezone(there)) == before:
            early = middle
        else:
            late = middle
    return late


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta(0)
