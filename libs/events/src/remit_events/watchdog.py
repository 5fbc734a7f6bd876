"""Lag without progress: a member that is behind and settles nothing leaves its group and joins it anew; when that does
not help either, its process ends, for whoever started it to start it again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from remit_events.bus import BusError
from remit_events.failures import StuckError

# Records ahead and none settled, or one step of work that does not end, for this long.
STALL_SECONDS = 60.0
REJOINS = 3


class StalledError(BusError):
    """Nothing was settled for too long: the member has left its group and joins again with its next poll."""


class Watchdog:
    """Watches one member of a group; `leave` makes it join anew."""

    def __init__(self, name: str, leave: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._leave = leave
        self._limit: asyncio.Timeout | None = None
        self._running = False
        self._behind = False
        self._rejoins = 0
        self._progress_at = self._watched_at = time.monotonic()

    def healthy(self) -> bool:
        """False when records lie ahead, or work is under way, and nothing was settled for a minute."""
        return not (self._behind or self._running) or time.monotonic() - self._progress_at < STALL_SECONDS

    @property
    def rejoining(self) -> bool:
        """True from the moment it has left its group until something is settled, or nothing is left to settle."""
        return self._rejoins > 0

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Around a run: ends one of which no step is done in time. Raises StalledError, or StuckError at last."""
        if not self._behind:
            self._progress_at = time.monotonic()
        self._running = True
        try:
            self._limit = asyncio.timeout(STALL_SECONDS)
            async with self._limit:
                yield
        except Exception:
            self._watched_at = time.monotonic()  # whoever fails is not stuck: the failure is told, and tried again
            if self._limit is not None and self._limit.expired():
                await self._stalled("a step of its work did not end")
            raise
        finally:
            self._running = False

    def progress(self) -> None:
        """Something was settled, or nothing is left to settle."""
        self._progress_at = self._watched_at = time.monotonic()
        self._behind, self._rejoins = False, 0
        self.step()

    def step(self) -> None:
        """A step of the run is done: the next has its whole time."""
        if self._running and self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + STALL_SECONDS)

    async def behind(self) -> None:
        """Records lie ahead of this member. Raises StalledError or StuckError when they have done so for too long."""
        self._behind = True
        if time.monotonic() - self._watched_at >= STALL_SECONDS:
            await self._stalled("events lie ahead and none was handled")

    async def _stalled(self, what: str) -> None:
        said = f"{self._name}: {what} for {STALL_SECONDS:.0f} s"
        if self._rejoins >= REJOINS:
            raise StuckError(f"{said}, and joining its group again {REJOINS} times did not help")
        self._rejoins += 1
        self._watched_at = time.monotonic()
        await self._leave()
        raise StalledError(f"{said}: it joins its group again")
