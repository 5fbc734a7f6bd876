"""Whole batches in one statement: rows travel as one array per column and are unnested by the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

import uuid6
from pydantic_core import to_json
from sqlalchemy import ColumnElement, Result, Table, TextClause, any_, bindparam, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]

Record = Mapping[str, Any]
Kind = TypeVar("Kind")


def new_id() -> UUID:
    """A UUIDv7: time-ordered, so that new rows lie together."""
    return UUID(int=uuid6.uuid7().int)


def among(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """`column` is one of `values`, sent as one array, so that the statement is the same for any number of them."""
    return column == any_(bindparam(None, list(values), type_=ARRAY(column.type)))


def as_uuid(text: str) -> UUID | None:
    """The UUID a text is, if it is one."""
    try:
        return UUID(text)
    except ValueError:
        return None


async def insert_rows(
    session: AsyncSession, table: Table, rows: Sequence[Record], *, skip_existing: bool = False, returning: str = ""
) -> list[Any]:
    """Inserts all rows (equal keys) in one statement, in order.

    `skip_existing`: a row that meets a unique constraint is left out; `returning` names a column whose values of the
    rows that went in are given back.
    """
    if not rows:
        return []
    columns = tuple(rows[0])
    sql = _insert_sql(table, columns, skip_existing, returning)
    result = await session.execute(sql, _arrays(table, columns, rows))
    return [row[0] for row in result] if returning else []


async def update_rows(session: AsyncSession, table: Table, rows: Sequence[Record], *, key: str = "id") -> None:
    """Sets every column named in the rows (equal keys) where `key` matches, in one statement."""
    if rows:
        columns = tuple(rows[0])
        await session.execute(_update_sql(table, columns, key), _arrays(table, columns, rows))


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


@cache
def _insert_sql(table: Table, columns: tuple[str, ...], skip_existing: bool, returning: str) -> TextClause:
    names = ", ".join(f'"{name}"' for name in columns)
    return text(
        f"INSERT INTO {table.name} ({names}) "  # noqa: S608 - only names of our own tables
        f"SELECT {names} FROM unnest({_casts(table, columns)}) WITH ORDINALITY AS v ({names}, ord) ORDER BY ord"
        + (" ON CONFLICT DO NOTHING" if skip_existing else "")
        + (f" RETURNING {returning}" if returning else "")
    )


@cache
def _update_sql(table: Table, columns: tuple[str, ...], key: str) -> TextClause:
    names = ", ".join(f'"{name}"' for name in columns)
    settings = ", ".join(f'"{name}" = v."{name}"' for name in columns if name != key)
    return text(
        f"UPDATE {table.name} AS t SET {settings} "  # noqa: S608 - only names of our own tables
        f"FROM unnest({_casts(table, columns)}) AS v ({names}) WHERE t.{key} = v.{key}"
    )


def _casts(table: Table, columns: tuple[str, ...]) -> str:
    return ", ".join(f"CAST(:{name} AS {table.c[name].type.compile(_DIALECT)}[])" for name in columns)


def _arrays(table: Table, columns: tuple[str, ...], rows: Sequence[Record]) -> dict[str, list[Any]]:
    return {name: _column(_writer(table, name), [row[name] for row in rows]) for name in columns}


def _column(write: Callable[[Any], Any] | None, values: list[Any]) -> list[Any]:
    return values if write is None else [None if value is None else write(value) for value in values]


def _writer(table: Table, name: str) -> Callable[[Any], Any] | None:
    return _json if isinstance(table.c[name].type, JSONB) else None


def _json(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else to_json(value).decode()
