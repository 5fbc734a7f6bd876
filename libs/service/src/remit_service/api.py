"""What a service's routes are written with.

    router = Router(prefix="/v1/invoices", tags=["invoices"])

    @router.post("", status_code=201, responses=problem_responses(401, 403, 409, 422))
    async def create(body: NewInvoice, session: SessionDep, caller: Annotated[Caller, require("invoices:write")],
                     now: Now) -> InvoiceOut: ...

    @router.get("", responses=problem_responses(401, 403))
    async def listing(session: SessionDep, page: PageDep,
                      caller: Annotated[Caller, require("invoices:read")]) -> Listing[InvoiceOut]:
        rows, next_cursor = await paginate(session, select(...).where(...), page, invoice.c.id)
        return Listing(data=[...], next_cursor=next_cursor)

An endpoint that waits (long poll) calls `await session.rollback()` before it sleeps, which gives the connection back.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Request

from remit_events.session import Session
from remit_service.auth import Caller, InternalDep, require, require_internal
from remit_service.bodies import Body
from remit_service.faults import field_errors
from remit_service.openapi import problem_responses
from remit_service.paging import Listing, Page, PageDep, decode_cursor, encode_cursor, paginate
from remit_service.problems import Problem
from remit_service.router import LinkRoute, Router, StrictRoute
from remit_service.shared import Shared, shared

__all__ = [
    "Body",
    "Caller",
    "InternalDep",
    "LinkRoute",
    "Listing",
    "Now",
    "Page",
    "PageDep",
    "Router",
    "SessionDep",
    "Shared",
    "SharedDep",
    "StrictRoute",
    "check_if_match",
    "decode_cursor",
    "encode_cursor",
    "etag",
    "field_errors",
    "paginate",
    "problem_responses",
    "require",
    "require_internal",
]


async def _session(request: Request) -> Session:
    session: Session = request.state.session
    return session


async def _now(request: Request) -> datetime:
    return shared(request).clock.now()


async def _shared(request: Request) -> Shared:
    return shared(request)


SessionDep = Annotated[Session, Depends(_session)]
Now = Annotated[datetime, Depends(_now)]
SharedDep = Annotated[Shared, Depends(_shared)]


def etag(version: Any) -> str:
    """The entity tag of a version, as it stands in the ETag header (RFC 9110)."""
    return f'"{version}"'


def check_if_match(request: Request, version: Any, *, required: bool = True) -> None:
    """Raises 428 when If-Match is wanted and missing, 412 when it names another version."""
    given = request.headers.get("if-match")
    if given is None:
        if not required:
            return
        detail = "Read the thing first and send its ETag as If-Match, so that no other change is overwritten."
        raise Problem("precondition-required", 428, "If-Match required", detail)
    tags = [tag.strip() for tag in given.split(",")]
    if "*" not in tags and etag(version) not in tags:
        detail = "It was changed since you read it. Read it again, and send its new ETag as If-Match."
        raise Problem("precondition-failed", 412, "Changed meanwhile", detail, headers={"ETag": etag(version)})
