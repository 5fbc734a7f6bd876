"""Whole batches in one statement: rows travel as one array per column and are unnested by the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar
from uuid import UUID

import uuid6
from pydantic_core import to_json
from sqlalchemy import ColumnElement, Result, Table, TextClause, any_, bindparam, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession

# Fewer rows are sent as they are, whatever they hold.
WORTH_LOOKING = 20
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]

Record = Mapping[str, Any]
Column = tuple[Any, ...]
Kind = TypeVar("Kind")


def new_id() -> UUID:
    """A UUIDv7: time-ordered, so that new rows lie together."""
    return uuid6.uuid7()


def among(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """`column` is one of `values`, sent as one array, so that the statement is the same for any number of them."""
    return column == any_(bindparam(None, list(values), type_=ARRAY(column.type)))


def as_uuid(text: str) -> UUID | None:
    """The UUID a text is, if it is one."""
    try:
        return UUID(text)
    except ValueError:
        return None


async def insert_rows(session: AsyncSession, table: Table, rows: Sequence[Record]) -> None:
    """Inserts all rows (equal keys) in one statement, in order; see `insert_objects` for rows that may be there."""
    if rows:
        columns = tuple(rows[0])
        await _insert(session, table, columns, _columns(map(_items(columns), rows)), skip_existing=False)


async def insert_new(session: AsyncSession, table: Table, rows: Sequence[Record], *, returning: str) -> list[Any]:
    """As `insert_rows`, but a row that meets a unique constraint is left out; gives `returning` of those that went
    in."""
    if not rows:
        return []
    columns = tuple(rows[0])
    return await _insert(session, table, columns, _columns(map(_items(columns), rows)), returning=returning)


async def insert_objects(
    session: AsyncSession, table: Table, columns: tuple[str, ...], objects: Sequence[Any], *, returning: str = "id"
) -> list[Any]:
    """As `insert_new`, for objects with an attribute per column."""
    if not objects:
        return []
    return await _insert(session, table, columns, _columns(map(attrgetter(*columns), objects)), returning=returning)


async def update_rows(session: AsyncSession, table: Table, rows: Sequence[Record], *, key: str = "id") -> None:
    """Sets every column named in the rows (equal keys) where `key` matches, in one statement."""
    if rows:
        columns = tuple(rows[0])
        await _update(session, table, columns, _columns(map(_items(columns), rows)), key)


async def update_objects(
    session: AsyncSession, table: Table, columns: tuple[str, ...], objects: Sequence[Any], *, key: str = "id"
) -> None:
    """As `update_rows`, for objects with an attribute per column."""
    if objects:
        await _update(session, table, columns, _columns(map(attrgetter(*columns), objects)), key)


def records(kind: Callable[..., Kind], result: Result[Any]) -> list[Kind]:
    """The rows of a result as objects of `kind`, whose fields are named as the columns."""
    names = tuple(result.keys())
    return [kind(**dict(zip(names, row, strict=True))) for row in result]


async def fetch(session: AsyncSession, sql: str, **values: Any) -> Sequence[Any]:
    """All rows of a statement; its text is constant, so the server keeps its plan."""
    return (await session.execute(_text(sql), values)).all()


async def execute(session: AsyncSession, sql: str, **values: Any) -> None:
    await session.execute(_text(sql), values)


@cache
def _text(sql: str) -> TextClause:
    return text(sql)


async def _insert(
    session: AsyncSession,
    table: Table,
    columns: tuple[str, ...],
    data: list[Column],
    *,
    skip_existing: bool = True,
    returning: str = "",
) -> list[Any]:
    same = frozenset(name for name, values in zip(columns, data, strict=True) if _all_one(values))
    sql = _insert_sql(table, columns, same, skip_existing, returning)
    result = await session.execute(sql, _values(table, columns, data, same))
    return list(result.scalars()) if returning else []


async def _update(session: AsyncSession, table: Table, columns: tuple[str, ...], data: list[Column], key: str) -> None:
    await session.execute(_update_sql(table, columns, key), _values(table, columns, data, frozenset()))


@cache
def _insert_sql(
    table: Table, columns: tuple[str, ...], same: frozenset[str], skip_existing: bool, returning: str
) -> TextClause:
    names = ", ".join(f'"{name}"' for name in columns)
    arrays = tuple(name for name in columns if name not in same)
    given = ", ".join(_cast(table, name) if name in same else f'v."{name}"' for name in columns)
    unnested = ", ".join(f'"{name}"' for name in arrays)
    casts = ", ".join(_cast(table, name, "[]") for name in arrays)
    return text(
        f"INSERT INTO {table.name} ({names}) SELECT {given} "  # noqa: S608 - only names of our own tables
        f"FROM unnest({casts}) WITH ORDINALITY AS v ({unnested}, ord) ORDER BY ord"
        + (" ON CONFLICT DO NOTHING" if skip_existing else "")
        + (f" RETURNING {returning}" if returning else "")
    )


@cache
def _update_sql(table: Table, columns: tuple[str, ...], key: str) -> TextClause:
    names = ", ".join(f'"{name}"' for name in columns)
    settings = ", ".join(f'"{name}" = v."{name}"' for name in columns if name != key)
    casts = ", ".join(_cast(table, name, "[]") for name in columns)
    return text(
        f"UPDATE {table.name} AS t SET {settings} "  # noqa: S608 - only names of our own tables
        f"FROM unnest({casts}) AS v ({names}) WHERE t.{key} = v.{key}"
    )


def _cast(table: Table, name: str, dimension: str = "") -> str:
    return f"CAST(:{name} AS {table.c[name].type.compile(_DIALECT)}{dimension})"


def _items(columns: tuple[str, ...]) -> Callable[[Record], tuple[Any, ...]]:
    return lambda row: tuple([row[name] for name in columns])


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[Column]:
    return list(zip(*rows, strict=True))


def _all_one(values: Column) -> bool:
    """Whether a column holds one and the same thing all over, as nothing or now: then it is sent once."""
    first = values[0]
    return len(values) >= WORTH_LOOKING and all(value is first for value in values)


def _values(table: Table, columns: tuple[str, ...], data: list[Column], same: frozenset[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, values in zip(columns, data, strict=True):
        if isinstance(table.c[name].type, JSONB):
            values = tuple(None if value is None else _json(value) for value in values)  # noqa: PLW2901
        found[name] = values[0] if name in same else list(values)
    return found


def _json(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else to_json(value).decode()
