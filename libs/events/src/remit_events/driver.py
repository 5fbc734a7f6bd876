"""asyncpg's connection, which asks about PostgreSQL's own types once in a process rather than once in a connection.

To asyncpg an array of uuid is news on every connection: it asks by a recursive query over the catalogue, which takes
10 ms and more, and whose plan then holds 2.4 MB of the server's memory for as long as the connection is open.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import asyncpg

# Numbers below are written down in PostgreSQL's own sources (catalog/*.dat): the same in every database.
FIXED = 10_000
_ROWS: dict[int, Any] = {}
_NO_STATEMENT = SimpleNamespace(name="none was prepared")


class Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """Give it as `connection_class`."""

    async def _introspect_types(self, typeoids: Iterable[int], timeout: float | None) -> tuple[list[Any], Any]:
        asked = set(typeoids)
        if asked <= _ROWS.keys():
            return list(_ROWS.values()), _NO_STATEMENT
        rows, statement = await super()._introspect_types(asked, timeout)
        _ROWS.update({row["oid"]: row for row in rows if row["oid"] < FIXED})  # what a type is made of comes first
        return rows, statement
