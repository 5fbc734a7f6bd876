"""How long this process itself has seen something stand still.

Another host's clock may be off by an hour, so a moment it wrote down says little here; a span by one clock does.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID


class Seen:
    """Remembers when each was first looked at; a process that starts anew begins anew, which only waits longer."""

    def __init__(self) -> None:
        self._first: dict[UUID, datetime] = {}

    def longer_than(self, span: timedelta, ids: Collection[UUID], now: datetime) -> set[UUID]:
        """Of `ids`, which are all there are now, those seen at least so long ago for the first time."""
        self._first = {one: self._first.get(one, now) for one in ids}
        return {one for one, at in self._first.items() if now - at >= span}
