"""Whole batches in one statement: rows travel as one array per column and are unnested by the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter, itemgetter
from typing import Any, TypeVar
from uuid import UUID

import uuid6
from pydantic_core import to_json
from sqlalchemy import ColumnElement, Result, Table, TextClause, any_, bindparam, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from remit_events.session import WORTH_COPYING, Session

# Fewer rows are sent as they are, whatever they hold.
WORTH_LOOKING = 20
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]

Record = Mapping[str, Any]
Column = tuple[Any, ...]
Kind = TypeVar("Kind")


def new_id() -> UUID:
    """A UUIDv7: time-ordered, so that new rows lie together."""
    return UUID(int=uuid6.uuid7().int)


def as_uuid(text: str) -> UUID | None:
    """The UUID a text is, if it is one."""
    try:
        return UUID(text)
    except ValueError:
        return None


def among(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """`column` is one of `values`, sent as one array, so that the statement is the same for any number of them."""
    return column == any_(bindparam(None, list(values), type_=ARRAY(column.type)))


async def fetch(session: Session, sql: str, **values: Any) -> list[Any]:
    """All rows of a statement; its text is constant, so the server keeps its plan."""
    return await session.fetch(_text(sql), values)


async def execute(session: Session, sql: str, **values: Any) -> None:
    await session.fetch(_text(sql), values)


async def insert_rows(
    session: Session, table: Table, rows: Sequence[Record], *, on_conflict: str = "", returning: str = ""
) -> list[Any]:
    """Inserts all rows (equal keys) in one statement, in order; `on_conflict` is what follows ON CONFLICT, of which
    plainly many need none and travel by COPY.

    Gives the column `returning` of those that went in.
    """
    if not rows:
        return []
    columns = tuple(rows[0])
    if not on_conflict and not returning and len(rows) >= WORTH_COPYING:
        await _copy(session, table, columns, map(_items(columns), rows))
        return []
    return await _insert(session, table, columns, _columns(map(_items(columns), rows)), on_conflict, returning)


async def insert_objects(
    session: Session, table: Table, columns: tuple[str, ...], objects: Sequence[Any], *, returning: str = "id"
) -> list[Any]:
    """As `insert_rows`, for objects with an attribute per column; who meets a unique constraint is left out."""
    if not objects:
        return []
    data = _columns(map(attrgetter(*columns), objects))
    return await _insert(session, table, columns, data, "DO NOTHING", returning)


async def add_objects(session: Session, table: Table, columns: tuple[str, ...], objects: Sequence[Any]) -> None:
    """Inserts objects that are all new; raises asyncpg.UniqueViolationError when one is there."""
    rows = map(attrgetter(*columns), objects)
    if len(objects) >= WORTH_COPYING:
        await _copy(session, table, columns, rows)
    elif objects:
        await _insert(session, table, columns, _columns(rows), "", "")


async def update_rows(session: Session, table: Table, rows: Sequence[Record], *, key: str = "id") -> None:
    """Sets every column named in the rows (equal keys) where `key` matches, in one statement."""
    if rows:
        columns = tuple(rows[0])
        await _update(session, table, columns, _columns(map(_items(columns), rows)), key)


async def update_objects(
    session: Session, table: Table, columns: tuple[str, ...], objects: Sequence[Any], *, key: str = "id"
) -> None:
    """As `update_rows`, for objects with an attribute per column."""
    if objects:
        await _update(session, table, columns, _columns(map(attrgetter(*columns), objects)), key)


async def lock_rows(
    session: Session, table: Table, columns: tuple[str, ...], by: str, seller_id: UUID, values: Iterable[Any]
) -> list[Any]:
    """The seller's rows whose `by`, unique for each seller, is one of `values`: locked, in id order.

    A list, no join with unnest: its generic plan takes the index of `by` from fewer rows on.
    """
    return await session.fetch(_lock_sql(table, columns, by), {"seller_id": seller_id, "values": list(values)})


def records(kind: Callable[..., Kind], result: Result[Any]) -> list[Kind]:
    """The rows of a result as objects of `kind`, whose fields are named as the columns."""
    names = tuple(result.keys())
    return [kind(**dict(zip(names, row, strict=True))) for row in result]


@cache
def _text(sql: str) -> TextClause:
    return text(sql)


async def _insert(
    session: Session, table: Table, columns: tuple[str, ...], data: list[Column], on_conflict: str, returning: str
) -> list[Any]:
    same = _same(table, columns, data)
    sql = _insert_sql(table, columns, same, on_conflict, returning)
    rows = await session.fetch(sql, _values(table, columns, data, same))
    return [row[0] for row in rows]


async def _copy(session: Session, table: Table, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    documents = [index for index, name in enumerate(columns) if _is_document(table, name)]
    if documents:
        data = _columns(rows)
        for index in documents:
            data[index] = _documents(data[index])
        rows = zip(*data, strict=True)
    await session.copy(table.name, columns, rows)


async def _update(session: Session, table: Table, columns: tuple[str, ...], data: list[Column], key: str) -> None:
    same = _names(columns) if len(data[0]) == 1 else frozenset[str]()
    await session.fetch(_update_sql(table, columns, key, same), _values(table, columns, data, same))


@cache
def _insert_sql(
    table: Table, columns: tuple[str, ...], same: frozenset[str], on_conflict: str, returning: str
) -> TextClause:
    names = ", ".join(f'"{name}"' for name in columns)
    arrays = tuple(name for name in columns if name not in same)
    given = ", ".join(_one(table, name) if name in same else _value(table, name) for name in columns)
    unnested = ", ".join(f'"{name}"' for name in arrays)
    casts = ", ".join(_cast(table, name, "[]") for name in arrays)
    rows = f" FROM unnest({casts}) WITH ORDINALITY AS v ({unnested}, ord) ORDER BY ord" if arrays else ""
    return text(
        f"INSERT INTO {table.name} ({names}) SELECT {given}{rows}"
        + (f" ON CONFLICT {on_conflict}" if on_conflict else "")
        + (f" RETURNING {returning}" if returning else "")
    )


@cache
def _lock_sql(table: Table, columns: tuple[str, ...], by: str) -> TextClause:
    names = ", ".join(f'"{name}"' for name in columns)
    return text(
        f"SELECT {names} FROM {table.name} WHERE seller_id = :seller_id "  # noqa: S608 - only names of our own tables
        f"AND {by} = ANY({_cast(table, by, '[]', 'values')}) ORDER BY id FOR UPDATE"
    )


@cache
def _update_sql(table: Table, columns: tuple[str, ...], key: str, same: frozenset[str]) -> TextClause:
    """Of one row, all of it `same`, or of many."""
    names = ", ".join(f'"{name}"' for name in columns)
    given = {name: _one(table, name) if name in same else _value(table, name) for name in columns}
    settings = ", ".join(f'"{name}" = {value}' for name, value in given.items() if name != key)
    casts = ", ".join(_cast(table, name, "[]") for name in columns)
    rows = "" if same else f"FROM unnest({casts}) AS v ({names}) "
    return text(f"UPDATE {table.name} AS t SET {settings} {rows}WHERE t.{key} = {given[key]}")  # noqa: S608 - our own


def _value(table: Table, name: str) -> str:
    """Array columns travel as array literals, for unnest would take nested arrays apart."""
    return f'CAST(v."{name}" AS text[])' if _is_array(table, name) else f'v."{name}"'


def _one(table: Table, name: str) -> str:
    """What is sent once, for one row or for all."""
    return f"CAST({_cast(table, name)} AS text[])" if _is_array(table, name) else _cast(table, name)


def _cast(table: Table, name: str, dimension: str = "", given: str = "") -> str:
    kind = "text" if _is_array(table, name) else table.c[name].type.compile(_DIALECT)
    return f"CAST(:{given or name} AS {kind}{dimension})"


_names = cache(frozenset[str])


@cache
def _is_array(table: Table, name: str) -> bool:
    return isinstance(table.c[name].type, ARRAY)


@cache
def _is_document(table: Table, name: str) -> bool:
    return isinstance(table.c[name].type, JSONB)


def _items(columns: tuple[str, ...]) -> Callable[[Record], tuple[Any, ...]]:
    if len(columns) == 1:
        return lambda row: (row[columns[0]],)
    return itemgetter(*columns)


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[Column]:
    return list(zip(*rows, strict=True))


def _same(table: Table, columns: tuple[str, ...], data: list[Column]) -> frozenset[str]:
    """The columns that are sent once: all of a single row, and those of many that hold one thing, as nothing or now."""
    rows = len(data[0])
    if rows == 1:
        return _names(columns)
    if rows < WORTH_LOOKING:
        return frozenset()
    pairs = zip(columns, data, strict=True)
    return frozenset(name for name, values in pairs if _all_one(values) and not _is_array(table, name))


def _all_one(values: Column) -> bool:
    first = values[0]
    return all(value is first for value in values)


def _values(table: Table, columns: tuple[str, ...], data: list[Column], same: frozenset[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, values in zip(columns, data, strict=True):
        if _is_document(table, name):
            values = _documents(values)  # noqa: PLW2901
        elif _is_array(table, name):
            values = tuple(_literal(value) for value in values)  # noqa: PLW2901
        found[name] = values[0] if name in same else list(values)
    return found


def _documents(values: Column) -> Column:
    return tuple(None if value is None else _json(value) for value in values)


def _json(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else to_json(value).decode()


def _literal(values: Sequence[str]) -> str:
    """A PostgreSQL array literal of plain words (channels, digests): nothing in them needs quoting."""
    return "{" + ",".join(values) + "}"
