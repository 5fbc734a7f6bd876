"""When the next case is to be looked at, kept in memory so that an idle look costs nothing."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime

# Another replica may have planned something this process has not heard of; its own changes it always has.
TRUSTED_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Known:
    """The earliest planned look; None: nothing is planned."""

    earliest: datetime | None
    read_at: float


class Watch:
    """The earliest planned look, as last read. Who changes a plan in this process calls `changed` after the commit."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.changes = 0
        self._known: Known | None = None

    def changed(self) -> None:
        """Forgets what was read."""
        self.changes += 1
        self._known = None
        self.wake.set()

    def read(self, earliest: datetime | None, changes: int) -> None:
        """What was read, unless a plan has changed since `changes` was looked at, before asking."""
        if changes == self.changes:
            self._known = Known(earliest, time.monotonic())

    def known(self) -> Known | None:
        """What was read, while it can be trusted."""
        if self._known and time.monotonic() - self._known.read_at <= TRUSTED_SECONDS:
            return self._known
        return None
