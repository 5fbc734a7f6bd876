"""asyncpg's connection, which asks about PostgreSQL's own types once in a process, and does not keep plans for ever.

To asyncpg an array of uuid is news on every connection: it asks by a recursive query over the catalogue, which takes
10 ms and more, and whose plan then holds 2.4 MB of the server's memory for as long as the connection is open.

Generic plans are made once and kept until the server has analyzed a table anew. One that was made while a table was
empty may well go through all of it for each call, and the first import of a million rows comes before any analysis.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import asyncpg

# Numbers below are written down in PostgreSQL's own sources (catalog/*.dat): the same in every database.
FIXED = 10_000
# How long plans are kept at most, in seconds; less on a young connection. Making them all again takes some 20 ms.
PLANS_SECONDS = 60.0
_ROWS: dict[int, Any] = {}
_NO_STATEMENT = SimpleNamespace(name="none was prepared")


class Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """Give it as `connection_class`."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._opened_at = time.monotonic()
        self._plans_until = self._opened_at + 1.0

    async def renew_plans(self) -> None:
        """Has the server plan anew what it planned so long ago that its tables may have doubled since."""
        now = time.monotonic()
        if now >= self._plans_until:
            self._plans_until = now + min(now - self._opened_at, PLANS_SECONDS)
            await self.execute("DISCARD PLANS")

    async def _introspect_types(self, typeoids: Iterable[int], timeout: float | None) -> tuple[list[Any], Any]:
        asked = set(typeoids)
        if asked <= _ROWS.keys():
            return list(_ROWS.values()), _NO_STATEMENT
        rows, statement = await super()._introspect_types(asked, timeout)
        _ROWS.update({row["oid"]: row for row in rows if row["oid"] < FIXED})  # what a type is made of comes first
        return rows, statement
