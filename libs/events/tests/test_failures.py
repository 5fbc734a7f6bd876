"""What counts as infrastructure, and what is told of a failure."""

from __future__ import annotations

import asyncpg
import pytest
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from remit_events.bus import BusError, FencedError
from remit_events.failures import is_infrastructure
from remit_events.parsing import describe


def wrapped(error: Exception) -> DBAPIError:
    return DBAPIError("SELECT", {}, error)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(),
        OSError("No space left on device"),
        TimeoutError(),
        BusError("down"),
        FencedError("gone"),
        PoolTimeoutError("QueuePool limit"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("cannot switch to state 12"),
        wrapped(asyncpg.SerializationError("x")),
        wrapped(asyncpg.DeadlockDetectedError("x")),
        wrapped(asyncpg.TooManyConnectionsError("x")),
        wrapped(asyncpg.AdminShutdownError("x")),
        wrapped(asyncpg.CannotConnectNowError("x")),
        wrapped(asyncpg.LockNotAvailableError("x")),
        wrapped(asyncpg.ReadOnlySQLTransactionError("x")),
        wrapped(asyncpg.QueryCanceledError("x")),
        DBAPIError("SELECT", {}, ValueError("x"), connection_invalidated=True),
        ExceptionGroup("several", [ValueError("x"), ConnectionResetError()]),
    ],
    ids=repr,
)
def test_infrastructure(error: Exception) -> None:
    assert is_infrastructure(error)
    outer = RuntimeError("in a handler")
    outer.__cause__ = error
    assert is_infrastructure(outer)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        KeyError("x"),
        ZeroDivisionError(),
        asyncpg.DataError("invalid input for query argument $1"),
        wrapped(asyncpg.UniqueViolationError("x")),
        wrapped(asyncpg.UndefinedColumnError("x")),
        IntegrityError("INSERT", {}, asyncpg.ForeignKeyViolationError("x")),
    ],
    ids=repr,
)
def test_deterministic(error: Exception) -> None:
    assert not is_infrastructure(error)


def test_a_validation_error_is_told_without_values() -> None:
    class Model(BaseModel):
        amount: int

    with pytest.raises(ValidationError) as raised:
        Model.model_validate({"amount": "ada@example.com"})
    told = describe(raised.value)
    assert told == "Model cannot be read: amount: Input should be a valid integer, unable to parse string as an integer"
