"""The FastAPI application every service is made of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from remit_service import faults, openapi
from remit_service.clock import Clock
from remit_service.database import Database
from remit_service.docs import add_docs
from remit_service.health import ReadyCheck
from remit_service.metrics import CONTENT_TYPE_LATEST, READY, exposition
from remit_service.middleware import BodyCap, BodyTooLarge, Observed
from remit_service.problems import Problem
from remit_service.settings import ServiceSettings
from remit_service.shared import Shared


def create_app(
    name: str,
    *,
    db: Database,
    clock: Clock,
    settings: ServiceSettings,
    routers: Sequence[APIRouter],
    ready_checks: Sequence[ReadyCheck] = (),
    description: str = "",
) -> FastAPI:
    """An app with health, metrics, docs, problem+json and the body cap around `routers`."""
    app = FastAPI(
        title=name,
        version=package_version(name),
        description=description,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Its spans would carry paths and queries, where addresses may stand; `Observed` makes ours.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    shared = app.state.remit = Shared(name, db, clock, settings)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    app.add_middleware(BodyCap, limit=settings.max_body_bytes)
    app.add_middleware(Observed, service=name)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    _add_operations(app, shared, ready_checks)
    add_docs(app)
    # Their paths are whole: included as routers they would cost every request a third of a millisecond more. They come
    # first, for a request looks at one route after the other.
    app.router.routes[:0] = [route for router in routers for route in router.routes]
    return app


def package_version(name: str) -> str:
    try:
        return version(f"remit-{name}")
    except PackageNotFoundError:
        return "0.0.0"


def _add_operations(app: FastAPI, shared: Shared, ready_checks: Sequence[ReadyCheck]) -> None:
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    async def readyz() -> Response:
        reasons = await unready(shared, ready_checks)
        READY.labels(shared.name).set(0 if reasons else 1)
        if not reasons:
            return Response(b'{"status":"ready"}', media_type="application/json")
        detail = "; ".join(f"{what}: {why}" for what, why in reasons.items())
        return Problem("not-ready", 503, "Not ready", detail, headers={"Retry-After": "1"}).response()

    async def metrics() -> Response:
        return Response(exposition(shared.name), media_type=CONTENT_TYPE_LATEST)

    async def about() -> dict[str, str]:
        commit = os.environ.get("GIT_COMMIT")
        return {"service": shared.name, "version": app.version} | ({"commit": commit} if commit else {})

    for path, endpoint in (("/livez", livez), ("/readyz", readyz), ("/metrics", metrics), ("/version", about)):
        app.add_api_route(path, endpoint, methods=["GET"], include_in_schema=False, response_model=None)


async def unready(shared: Shared, checks: Sequence[ReadyCheck]) -> dict[str, str]:
    """Why the service should get no requests; empty when it should."""
    reasons = shared.health.reasons()
    for what, check in (("database", _pinged(shared.db)), *((c.__name__, c) for c in checks)):
        try:
            why = await check()
        except Exception as error:
            why = type(error).__name__
        if why:
            reasons[what] = why
    return reasons


def _pinged(db: Database) -> ReadyCheck:
    async def ping() -> str | None:
        await db.ping()
        return None

    return ping


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101  # what it is registered for
    return error.response()


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return (error.problem if isinstance(error, BodyTooLarge) else faults.of_http(error)).response()


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    return faults.of_validation(error, _required(request)).response()


def _required(request: Request) -> list[str]:
    """The fields that the body of the request's route cannot go without."""
    body = getattr(request.scope.get("route"), "body_field", None)
    fields = getattr(body and body.field_info.annotation, "model_fields", {})
    return [name for name, one in fields.items() if one.is_required()]
