"""What stands in the four databases of an installation, to tell whether anything was changed.

async with Tables(installation) as tables:
    before = await tables.digests()             # per table, and per sequence
    rows = await tables.rows_with("some-id")    # every row of every table that says so, as text
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import asyncpg

from remit_local.installation import Installation

_NAMES = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
_DIGEST = "SELECT md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) FROM {} AS t"
_SEQUENCES = "SELECT coalesce(string_agg(s::text, ',' ORDER BY s::text), '') FROM pg_sequences AS s"
_ROWS = "SELECT t::text AS row FROM {} AS t WHERE t::text LIKE ANY($1::text[]) ORDER BY t::text"


class Tables:
    """Read-only connections to the databases of the services."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._connections: dict[str, asyncpg.Connection] = {}
        self._names: list[tuple[str, str]] = []

    async def __aenter__(self) -> Self:
        for service, url in self._installation.databases.items():
            connection = await asyncpg.connect(url.replace("+asyncpg", ""))
            self._connections[service] = connection
            self._names += [(service, row["relname"]) for row in await connection.fetch(_NAMES)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for connection in self._connections.values():
            await connection.close()

    async def digests(self, *only: str) -> dict[str, str]:
        """Of all services, or of those named."""
        found = {}
        for service, connection in self._connections.items():
            if service in (only or self._connections):
                found[f"{service} sequences"] = await connection.fetchval(_SEQUENCES)
        for service, name in self._names:
            if service in (only or self._connections):
                found[f"{service} {name}"] = await self._connections[service].fetchval(_DIGEST.format(f'"{name}"'))
        return found

    async def rows_with(self, *words: str) -> dict[str, list[str]]:
        """Per table the rows in which any of the words stands."""
        wanted = [f"%{word}%" for word in words]
        found = {}
        for service, name in self._names:
            rows = await self._connections[service].fetch(_ROWS.format(f'"{name}"'), wanted)
            found[f"{service} {name}"] = [row["row"] for row in rows]
        return found
