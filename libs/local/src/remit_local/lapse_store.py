"""How far the time-lapse of an installation has come, kept in its own database so that it can go on after a stop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from types import TracebackType

import asyncpg

DDL = """
CREATE TABLE IF NOT EXISTS timelapse (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    first_start date NOT NULL,
    instant timestamptz,
    done boolean NOT NULL
)
"""
READ = "SELECT first_start, instant, done FROM timelapse"
BEGIN = "INSERT INTO timelapse (first_start, done) VALUES ($1, false) ON CONFLICT DO NOTHING"
ENTER = "UPDATE timelapse SET instant = $1"
FINISH = "UPDATE timelapse SET done = true"


@dataclass(frozen=True, slots=True)
class Lapse:
    """`instant` is the one last entered; None: not begun. `done`: wall time has taken over."""

    first_start: date
    instant: datetime | None
    done: bool


class LapseStore:
    """One row in the installation's own database; an async context manager that holds a connection."""

    def __init__(self, url: str) -> None:
        self._dsn = url.replace("+asyncpg", "")

    async def __aenter__(self) -> LapseStore:
        self._connection = await asyncpg.connect(self._dsn)
        await self._connection.execute(DDL)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._connection.close()

    async def read(self) -> Lapse | None:
        """None when this installation has no time-lapse."""
        row = await self._connection.fetchrow(READ)
        return Lapse(row["first_start"], row["instant"], row["done"]) if row else None

    async def begin(self, first_start: date) -> Lapse:
        """The time-lapse of this installation, begun today unless it was begun before."""
        await self._connection.execute(BEGIN, first_start)
        lapse = await self.read()
        if lapse is None:
            raise RuntimeError("the time-lapse's row vanished")
        return lapse

    async def enter(self, instant: datetime) -> None:
        """Before anything happens at `instant`: after a stop it is entered again."""
        await self._connection.execute(ENTER, instant)

    async def finish(self) -> None:
        await self._connection.execute(FINISH)
