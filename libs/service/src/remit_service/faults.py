"""Exceptions become problems: what the caller can mend says how, what they cannot shows nothing of the inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from starlette.exceptions import HTTPException

from remit_events.failures import is_infrastructure, sqlstate
from remit_events.session import RolledBackError
from remit_service.logs import describe
from remit_service.problems import FieldError, Problem, invalid_fields, json_pointer
from remit_service.ways_out import given, way_out

log = structlog.get_logger(__name__)

_STATUSES = {
    400: ("bad-request", "Bad request", "The request could not be read. Check that its body is valid JSON in UTF-8."),
    404: ("no-such-route", "No such route", "There is nothing at this path; /docs lists every route."),
    405: ("method-not-allowed", "Method not allowed", "This path does not take this method; see the Allow header."),
    413: ("body-too-large", "Body too large", "The body is too large; send fewer items per request."),
}

# SQLSTATEs of a transaction that may simply be tried again: serialization failure, deadlock, lock not available.
_RETRYABLE = frozenset({"40001", "40P01", "55P03"})

# Where and how pydantic misses the body as a whole.
_BODY = ("", "missing")


def problem_of(error: Exception) -> Problem:
    """The problem an unexpected exception is answered with."""
    if isinstance(error, Problem):
        return error
    state = sqlstate(error)
    if state in _RETRYABLE:
        return _unavailable("try-again", "Other requests were changing the same things. Send the request again.")
    if state == "57014":
        return _unavailable("timeout", "The database took too long. Ask for less at once, or try again later.")
    if state.startswith("22"):
        detail = "A value cannot be stored: a number is out of range or a text holds a forbidden character."
        return Problem("value-not-storable", 422, "Value not storable", detail)
    if isinstance(error, OperationalError | InterfaceError) or is_infrastructure(error):
        return _unavailable("database-unavailable", "The database cannot be reached just now. Try again shortly.")
    return internal()


def of_commit(error: Exception) -> Problem:
    """The problem a failed commit is answered with: only what the database itself says is certain (docs/adr/0002)."""
    state = sqlstate(error)
    lost = state[:2] == "08" or state[:3] == "57P"  # connection exceptions, shutdown
    if isinstance(error, RolledBackError) or (state and not lost):
        return problem_of(error)
    detail = (
        "The database was lost while this was being stored: it may be there or not. Send it again with the same "
        "Idempotency-Key, under which it takes effect once; sent without one, look first whether it is there."
    )
    return Problem("outcome-unknown", 500, "Outcome unknown", detail)


def internal() -> Problem:
    detail = "Something went wrong on our side; nothing was changed. Try again; if it stays, report time and path."
    return Problem("internal-error", 500, "Internal error", detail)


def report(error: BaseException, service: str, method: str, route: str) -> None:
    log.error("request failed", service=service, method=method, route=route, **describe(error))


def _unavailable(slug: str, detail: str) -> Problem:
    return Problem(slug, 503, "Not available just now", detail, headers={"Retry-After": "1"})


def of_http(error: HTTPException) -> Problem:
    """What Starlette and FastAPI raise by themselves: unknown paths, wrong methods, unreadable bodies."""
    slug, title, detail = _STATUSES.get(error.status_code, ("http-error", str(error.detail), str(error.detail)))
    return Problem(slug, error.status_code, title, detail, headers=error.headers or {})


def of_validation(error: RequestValidationError, required: Sequence[str] = ()) -> Problem:
    """A 422 naming every field, or 400 when the body is no JSON at all; `required`: what a body must have."""
    faults = error.errors()
    broken = next((fault for fault in faults if fault["type"] == "json_invalid"), None)
    if broken is not None:
        at = broken["loc"][-1]
        detail = f"The body is not valid JSON: {broken.get('ctx', {}).get('error', '')} at character {at}."
        return Problem("malformed-json", 400, "Malformed JSON", detail)
    errors = field_errors(faults)
    return invalid_fields([_no_body(required) if (one.pointer, one.code) == _BODY else one for one in errors])


def _no_body(required: Sequence[str]) -> FieldError:
    names = ", ".join(f"`{name}`" for name in required)
    return FieldError(*_BODY, f"Send a JSON body with {names}." if names else "Send a JSON body.")


def field_errors(faults: Iterable[Mapping[str, Any]], *, prefix: str = "") -> list[FieldError]:
    """Pydantic's errors as ours; `prefix` is put before pointers into a part of a body, as `/invoices/3`."""
    return [FieldError(prefix + pointer(fault["loc"]), fault["type"], way_out(fault), given(fault)) for fault in faults]


def pointer(loc: Iterable[Any]) -> str:
    """A JSON pointer (RFC 6901) for a place in the body; the bare name for a parameter."""
    parts = [str(part) for part in loc]
    if parts[:1] in (["query"], ["path"], ["header"], ["cookie"]):
        return parts[-1]
    if parts[:1] == ["body"]:
        parts = parts[1:]
    return json_pointer(parts)
