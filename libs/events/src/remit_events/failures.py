"""Which failures say nothing about the event at hand and are worth waiting out."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from remit_events.bus import BusError

# SQLSTATE classes: connection, rollback (serialization, deadlock), resources, operator (shutdown, cancel), system;
# and single states: a lock not had in time, a standby that cannot write.
STATE_CLASSES = ("08", "40", "53", "57", "58")
STATES = ("55P03", "25006")


class StuckError(Exception):
    """Nothing but a new process can help: the loop that meets it lets the process end."""


def is_infrastructure(error: BaseException) -> bool:
    """True for connections, the operating system, timeouts and serialization; false for what would fail again."""
    return any(_is_infrastructure(cause) for cause in _causes(error))


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE an error of the database carries, itself or as its cause; empty without one."""
    return next((str(state) for cause in _causes(error) if (state := getattr(cause, "sqlstate", None))), "")


def _is_infrastructure(error: BaseException) -> bool:
    if isinstance(error, OSError | TimeoutError | PoolTimeoutError | BusError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    # asyncpg's client-side errors: a wrong argument is a ValueError too, the rest is the connection's state.
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
        return not isinstance(error, ValueError)
    if isinstance(error, asyncpg.InvalidCachedStatementError):  # a migration changed the table: prepared anew next time
        return True
    state = getattr(error, "sqlstate", None) or ""
    return state[:2] in STATE_CLASSES or state in STATES


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        cause = pending.pop()
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        pending += [cause.__cause__, getattr(cause, "orig", None)]
        if isinstance(cause, BaseExceptionGroup):
            pending += cause.exceptions
