"""Whole batches in one statement: rows travel as one array per column and are unnested by the server.

After `direct(session)` statements of a session's transaction go to the driver without SQLAlchemy between, which costs
a fifth of the time: the sweep and the handlers run some ten small statements for each moment something happens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

import asyncpg
import uuid6
from pydantic_core import to_json
from sqlalchemy import Table, TextClause, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)")

Record = Mapping[str, Any]


def new_id() -> UUID:
    """A UUIDv7: time-ordered, so that new rows lie together."""
    return UUID(int=uuid6.uuid7().int)


class Row(asyncpg.Record):  # type: ignore[misc]
    """A row whose columns are attributes, as SQLAlchemy's are; JSON is text."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


async def direct(session: AsyncSession) -> None:
    """Sends what follows in this transaction straight to the driver; its errors are then asyncpg's own."""
    connection = await session.connection()
    driver = (await connection.get_raw_connection()).driver_connection
    if driver is None or not driver.is_in_transaction():
        raise RuntimeError("the transaction begins with a statement of the session's own")
    session.info["driver"] = driver


async def insert_rows(
    session: AsyncSession, table: Table, rows: Sequence[Record], *, on_conflict: str | None = None
) -> None:
    """Inserts all rows (equal keys) in one statement, in order; `on_conflict` is what follows ON CONFLICT."""
    if rows:
        columns = tuple(rows[0])
        await execute(session, _insert_sql(table, columns, on_conflict), **_arrays(table, columns, rows))


async def update_rows(session: AsyncSession, table: Table, rows: Sequence[Record], *, key: str = "id") -> None:
    """Sets every column named in the rows (equal keys) where `key` matches, in one statement."""
    if rows:
        columns = tuple(rows[0])
        await execute(session, _update_sql(table, columns, key), **_arrays(table, columns, rows))


async def fetch(session: AsyncSession, sql: str, **values: Any) -> Sequence[Any]:
    """All rows of a statement; its text is constant, so the server keeps its plan."""
    driver = session.info.get("driver")
    if driver is None:
        return (await session.execute(_text(sql), values)).all()
    statement, names = _numbered(sql)
    rows: Sequence[Any] = await driver.fetch(statement, *(values[name] for name in names), record_class=Row)
    return rows


async def execute(session: AsyncSession, sql: str, **values: Any) -> None:
    driver = session.info.get("driver")
    if driver is None:
        await session.execute(_text(sql), values)
        return
    statement, names = _numbered(sql)
    await driver.execute(statement, *(values[name] for name in names))


@cache
def _numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """A statement with the driver's numbered parameters, and the names they stand for."""
    names: dict[str, int] = {}

    def numbered(found: re.Match[str]) -> str:
        return f"${names.setdefault(found[1], len(names) + 1)}"

    return _PARAMETER.sub(numbered, sql), tuple(names)


@cache
def _text(sql: str) -> TextClause:
    return text(sql)


@cache
def _insert_sql(table: Table, columns: tuple[str, ...], on_conflict: str | None) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    ending = f" ON CONFLICT {on_conflict}" if on_conflict else ""
    return (
        f"INSERT INTO {table.name} ({names}) SELECT {_values(table, columns)} "  # noqa: S608  # our own tables' names
        f"FROM unnest({_casts(table, columns)}) WITH ORDINALITY AS v ({names}, ord) ORDER BY ord{ending}"
    )


@cache
def _update_sql(table: Table, columns: tuple[str, ...], key: str) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    values = zip(columns, _values(table, columns).split(", "), strict=True)
    settings = ", ".join(f'"{name}" = {value}' for name, value in values if name != key)
    return (
        f"UPDATE {table.name} AS t SET {settings} "  # noqa: S608  # our own tables' names
        f"FROM unnest({_casts(table, columns)}) AS v ({names}) WHERE t.{key} = v.{key}"
    )


def _values(table: Table, columns: tuple[str, ...]) -> str:
    """Array columns travel as array literals, for unnest would take nested arrays apart."""
    return ", ".join(f'CAST(v."{name}" AS text[])' if _is_array(table, name) else f'v."{name}"' for name in columns)


def _casts(table: Table, columns: tuple[str, ...]) -> str:
    return ", ".join(f"CAST(:{name} AS {_wire_type(table, name)}[])" for name in columns)


def _wire_type(table: Table, name: str) -> str:
    return "text" if _is_array(table, name) else str(table.c[name].type.compile(_DIALECT))


def _is_array(table: Table, name: str) -> bool:
    return isinstance(table.c[name].type, ARRAY)


def _arrays(table: Table, columns: tuple[str, ...], rows: Sequence[Record]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name in columns:
        values = [row[name] for row in rows]
        if isinstance(table.c[name].type, JSONB):
            values = [None if value is None else to_json(value).decode() for value in values]
        elif _is_array(table, name):
            values = [_literal(value) for value in values]
        found[name] = values
    return found


def _literal(values: Sequence[str]) -> str:
    """A PostgreSQL array literal of plain words (channels, digests): nothing in them needs quoting."""
    return "{" + ",".join(values) + "}"
