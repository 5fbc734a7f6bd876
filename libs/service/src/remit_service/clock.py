"""What time it is: the only source of "now" there is, so that a simulation can set it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The present instant, aware and in UTC."""
        ...


class WallClock:
    """The host's time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SimulatedClock:
    """A time that only moves when told to, and never backwards."""

    def __init__(self, now: datetime) -> None:
        self._now = _utc(now)

    def now(self) -> datetime:
        return self._now

    def set(self, to: datetime) -> None:
        """Moves the clock; ValueError when `to` lies before the present or has no zone."""
        moved = _utc(to)
        if moved < self._now:
            raise ValueError(f"a clock does not run backwards: {self._now.isoformat()} to {moved.isoformat()}")
        self._now = moved


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"a moment needs a zone: {moment.isoformat()}")
    return moment.astimezone(UTC)
