"""Routes that run in one transaction, committed before the answer leaves (docs/adr/0002)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.params import Form, Query
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from remit_events.session import Session
from remit_service import direct_dependencies, idempotency
from remit_service.auth import Caller, authenticate
from remit_service.faults import of_commit, problem_of, report
from remit_service.openapi import problem_responses
from remit_service.problems import FieldError, Problem, invalid_fields
from remit_service.shared import shared

READS = frozenset({"GET", "HEAD", "OPTIONS"})

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class _RolledBack(Exception):  # noqa: N818  # no error: it carries an answer
    """Carries an error answer out of the transaction, which its passing rolls back."""

    def __init__(self, response: Response) -> None:
        self.response = response


class StrictRoute(APIRoute):
    """Refuses query parameters it does not have: a misspelt filter would be dropped without a word."""

    strict = True

    def __init__(self, *args: Any, **options: Any) -> None:
        if self.strict:
            options["responses"] = problem_responses(422) | (options.get("responses") or {})
        super().__init__(*args, **options)
        self._start = self.path.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As always, but does not look closer at a path that begins otherwise: a request passes some twenty routes."""
        if not scope["path"].startswith(self._start) and not scope.get("root_path"):
            return Match.NONE, {}
        return super().matches(scope)

    def get_route_handler(self) -> Handler:
        params = get_flat_params(self.dependant)
        known = sorted(param.alias for param in params if isinstance(param.field_info, Query))
        direct = direct_dependencies.taken_out(self.dependant)
        endpoint = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if self.strict:
                _check_query(request, known)
            await direct_dependencies.solve(request, direct)
            return await endpoint(request)

        return handle


class TransactionalRoute(StrictRoute):
    """Opens a transaction (a read-only snapshot for GET), runs the endpoint, commits, then answers.

    An error answer or an exception rolls back; a commit that fails is a problem, never a 201, and says so when nobody
    can know whether it was one.
    """

    def get_route_handler(self) -> Handler:
        scopes = tuple(_scopes(self.dependant))
        endpoint = super().get_route_handler()
        form = self.body_field is not None and isinstance(self.body_field.field_info, Form)
        takes_json = self.body_field is not None and not form
        route = self.path

        async def handle(request: Request) -> Response:
            if takes_json:
                await _check_content_type(request)
            service = shared(request)
            reads = request.method in READS
            if not reads:
                await _read_body(request)
            opened = service.db.reading() if reads else service.db.transaction()
            committing = False
            try:
                async with opened as session:
                    request.state.session = session
                    response = await _answer(request, session, endpoint, route, scopes)
                    if response.status_code >= 400:
                        raise _RolledBack(response)
                    committing = not reads
                    return response
            except _RolledBack as refused:
                return refused.response
            except (Problem, HTTPException, RequestValidationError):
                raise
            except Exception as error:
                problem = of_commit(error) if committing else problem_of(error)
                if problem.status >= 500:
                    report(error, service.name, request.method, route)
                return problem.response()

        return handle


class LinkRoute(TransactionalRoute):
    """For a URL that was given out, to which mail programs and providers add parameters of their own."""

    strict = False


def _check_query(request: Request, known: Sequence[str]) -> None:
    if not request.scope["query_string"]:
        return
    unknown = [name for name in dict.fromkeys(request.query_params) if name not in known]
    if unknown:
        there = f"it takes {', '.join(known)}" if known else "it takes none"
        detail = f"This route has no such parameter; {there}."
        raise invalid_fields(
            [FieldError(name, "unknown_parameter", detail, request.query_params[name]) for name in unknown]
        )


async def _answer(
    request: Request,
    session: Session,
    endpoint: Callable[[Request], Awaitable[Response]],
    route: str,
    scopes: tuple[tuple[str, ...], ...],
) -> Response:
    if request.method != "POST" or idempotency.HEADER not in request.headers or not scopes:
        return await endpoint(request)
    caller = await authenticate(request)
    if not _permitted(caller, scopes):
        return await endpoint(request)  # which refuses, naming the scope
    attempt = await idempotency.attempt_of(request, caller.seller_id, route)
    earlier = await idempotency.replayed(request, session, attempt)
    if earlier is not None:
        return earlier
    response = await endpoint(request)
    await idempotency.keep_answer(session, attempt, response, shared(request).clock.now())
    return response


def _permitted(caller: Caller, scopes: tuple[tuple[str, ...], ...]) -> bool:
    return all(any(caller.allows(scope) for scope in choice) for choice in scopes)


def _scopes(dependant: Dependant) -> Iterator[tuple[str, ...]]:
    """What the `require` dependencies below this one demand."""
    for dependency in dependant.dependencies:
        scope = getattr(dependency.call, "scope", None)
        if isinstance(scope, tuple):
            yield scope
        yield from _scopes(dependency)


async def _read_body(request: Request) -> None:
    """Whole, before the transaction: a body that trickles in would keep a connection to the database from others."""
    try:
        await request.body()
    except ClientDisconnect:
        raise HTTPException(400) from None  # nobody is there to read it


async def _check_content_type(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return
    if await request.body():
        detail = "The body must be JSON: send it with `Content-Type: application/json`."
        raise Problem("unsupported-media-type", 415, "Unsupported media type", detail)


class Router(APIRouter):
    """An APIRouter whose routes are transactional; give it its whole prefix, as `Router(prefix="/v1/invoices")`.

    `route_class`: StrictRoute for routes without a transaction, LinkRoute for those others call by a link.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("route_class", TransactionalRoute)
        super().__init__(*args, **options)
