"""What delivery needs of the service around it; remit_service has both."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncEngine

from remit_events.session import Session


class Clock(Protocol):
    """Where "now" comes from: wall time or a simulation's."""

    def now(self) -> datetime:
        """Aware, UTC."""
        ...


class Database(Protocol):
    """The service's database. `wakes` are called after a commit that emitted events."""

    engine: AsyncEngine
    wakes: list[Callable[[], None]]

    def transaction(self) -> AbstractAsyncContextManager[Session]:
        """Commits when the block ends, rolls back when it raises."""
        ...
