"""Tables filled from one template that the service itself has written: by INSERT … SELECT, indexes made afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg

_INDEXES = """
SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS made
FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid
WHERE i.indrelid::regclass::text = ANY($1) AND c.oid IS NULL
"""
_COLUMNS = """
SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
"""
_SETTINGS = "SET synchronous_commit = off; SET maintenance_work_mem = '512MB'; SET work_mem = '256MB'"


@asynccontextmanager
async def seeding(database: asyncpg.Connection, *tables: str) -> AsyncIterator[None]:
    """Inside, these tables have no indexes but their keys'; afterwards those they had, statistics, and all on disk."""
    await database.execute(_SETTINGS)
    indexes = await database.fetch(_INDEXES, list(tables))
    for index in indexes:
        await database.execute(f"DROP INDEX {index['name']}")
    yield
    for index in indexes:
        await database.execute(index["made"])
    await database.execute("VACUUM (FREEZE, ANALYZE)")
    await database.execute("CHECKPOINT")


async def multiply(
    database: asyncpg.Connection, table: str, of: str, made: str, changed: Mapping[str, str], on: str | None = None
) -> None:
    """For each row of `made` (a query, m) and each row of `table` where `of` (t), one like t.

    `changed` are the columns that differ, as SQL over m and t. Everything volatile has to be in `made`. With `on` only
    the t whose column of that name is m's `of`.
    """
    columns = [row["attname"] for row in await database.fetch(_COLUMNS, table)]
    values = ", ".join(changed.get(column, f"t.{column}") for column in columns)
    await database.execute(f"CREATE TEMP TABLE one AS SELECT * FROM {table} WHERE {of}")
    where = f"t.{on} = m.of" if on else "true"
    await database.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM one AS t JOIN ({made}) AS m ON {where}"
    )
    await database.execute("DROP TABLE one")
