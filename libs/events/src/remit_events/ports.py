"""What delivery needs of the service around it; remit_service has both."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession


class Clock(Protocol):
    """Where "now" comes from: wall time or a simulation's."""

    def now(self) -> datetime:
        """Aware, UTC."""
        ...


class Database(Protocol):
    """The service's database. `wakes` are called after a commit that emitted events."""

    engine: AsyncEngine
    wakes: list[Callable[[], None]]

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Commits when the block ends, rolls back when it raises."""
        ...
