"""Counting the statements a service sends: those in text go straight to the driver, past SQLAlchemy's events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import TextClause, event
from sqlalchemy.ext.asyncio import AsyncEngine

from remit_events.session import Session


@contextmanager
def sent_by(engine: AsyncEngine) -> Iterator[list[str]]:
    """The statements sent through the engine meanwhile."""
    sent: list[str] = []
    fetch, copy = Session.fetch, Session.copy

    async def noting(session: Session, statement: TextClause, values: Mapping[str, Any]) -> list[Any]:
        if session._engine is engine:
            sent.append(statement.text)
        return await fetch(session, statement, values)

    async def noting_copy(session: Session, table: str, *given: Any) -> None:
        if session._engine is engine:
            sent.append(f"COPY {table}")
        await copy(session, table, *given)

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Session, "fetch", noting)
            patch.setattr(Session, "copy", noting_copy)
            yield sent
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)
