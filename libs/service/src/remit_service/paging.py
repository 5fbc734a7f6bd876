"""Lists: `{data, next_cursor}` by keyset, in a stable order; a cursor is opaque and survives inserts."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel, Field
from pydantic_core import to_json
from sqlalchemy import ColumnElement, Row, Select, tuple_

from remit_events.session import Session
from remit_service.problems import invalid

LARGEST_PAGE = 200

Item = TypeVar("Item")


class Listing(BaseModel, Generic[Item]):
    """A page of a list; `next_cursor` is null on the last one."""

    data: list[Item]
    next_cursor: str | None = Field(default=None, description="Give it as `cursor` to get the next page.")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="How many at most.")] = 50
    cursor: Annotated[str | None, Query(max_length=1000, description="`next_cursor` of the page before.")] = None


PageDep = Annotated[Page, Depends()]


async def paginate(
    session: Session, statement: Select[Any], page: Page, *order: ColumnElement[Any], descending: bool = False
) -> tuple[Sequence[Row[Any]], str | None]:
    """One page of `statement` in the order of columns that are selected and together unique; and the next cursor."""
    if page.cursor is not None:
        after = _values(page.cursor, order)
        here = tuple_(*order)
        statement = statement.where(here < after if descending else here > after)
    ordered = statement.order_by(*(column.desc() if descending else column.asc() for column in order))
    rows = (await session.execute(ordered.limit(page.limit + 1))).all()
    if len(rows) <= page.limit:
        return rows, None
    rows = rows[: page.limit]
    last = rows[-1]._mapping
    return rows, encode_cursor([last[column] for column in order])


def encode_cursor(values: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(to_json(list(values))).decode().rstrip("=")


def decode_cursor(cursor: str, length: int) -> list[Any]:
    """Raises a 422 problem when it is none of ours."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        values = None
    if not isinstance(values, list) or len(values) != length:
        raise _bad_cursor(cursor)
    return values


def _values(cursor: str, order: Sequence[ColumnElement[Any]]) -> tuple[Any, ...]:
    try:
        return tuple(
            _typed(value, column.type.python_type)
            for value, column in zip(decode_cursor(cursor, len(order)), order, strict=True)
        )
    except (ValueError, TypeError):
        raise _bad_cursor(cursor) from None


def _typed(value: Any, kind: type[Any]) -> Any:
    if kind is UUID:
        return UUID(value)
    if kind is datetime:
        return datetime.fromisoformat(value)
    if kind is date:
        return date.fromisoformat(value)
    if type(value) is not kind or (isinstance(value, str) and "\x00" in value):
        raise TypeError(kind)
    if kind is int and abs(value) >= 2**63:
        raise ValueError(value)
    return value


def _bad_cursor(cursor: str) -> Exception:
    return invalid("cursor", "cursor", "This is no cursor of this list; start again without one.", cursor)
