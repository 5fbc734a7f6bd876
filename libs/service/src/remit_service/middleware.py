"""Pure ASGI, one layer each: the outermost sees every request once, the body cap counts what comes in."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import structlog
from opentelemetry import context, propagate, trace
from opentelemetry.trace import SpanKind, StatusCode
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from remit_service import faults
from remit_service.metrics import HTTP_SECONDS
from remit_service.problems import Problem

log = structlog.get_logger(__name__)

_tracer = trace.get_tracer("remit_service")
_OF_TRACES = frozenset({b"traceparent", b"tracestate", b"baggage"})
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})

_seconds = lru_cache(1_000)(HTTP_SECONDS.labels)


class Observed:
    """One span, one metric, one log line per request, by route template: paths and queries may hold addresses.

    What escapes every other handler becomes a 500 problem here.
    """

    def __init__(self, app: ASGIApp, service: str) -> None:
        self.app, self.service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self.app(scope, receive, send)
            return
        method = scope["method"]
        started, status = time.perf_counter(), 500
        answered = False

        async def sent(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], True
            await send(message)

        span = _tracer.start_span(method, _parent(scope), SpanKind.SERVER)
        outside = context.attach(trace.set_span_in_context(span))
        try:
            await self.app(scope, receive, sent)
        except Exception as error:
            faults.report(error, self.service, method, _route(scope))
            if answered:
                raise
            await faults.internal().response()(scope, receive, sent)
        finally:
            self._record(span, scope, method, status, time.perf_counter() - started)
            context.detach(outside)
            span.end()

    def _record(self, span: trace.Span, scope: Scope, method: str, status: int, seconds: float) -> None:
        route = _route(scope)
        _seconds(self.service, method, route, status).observe(seconds)
        if span.is_recording():
            span.update_name(f"{method} {route}")
            span.set_attribute("http.request.method", method)
            span.set_attribute("http.route", route)
            span.set_attribute("http.response.status_code", status)
            span.set_attribute("service", self.service)
            if status >= 500:
                span.set_status(StatusCode.ERROR)
        log.debug(
            "request", service=self.service, method=method, route=route, status=status, ms=round(seconds * 1000, 1)
        )


def _parent(scope: Scope) -> context.Context | None:
    """The trace the caller began, None without one."""
    carrier = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _OF_TRACES}
    return propagate.extract(carrier) if carrier else None


def _route(scope: Scope) -> str:
    found: Any = scope.get("route")
    return getattr(found, "path", "(none)")


class BodyTooLarge(HTTPException):
    """Raised out of `receive`; FastAPI passes HTTPExceptions on, other errors it would call malformed."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, headers={"Connection": "close"})
        self.problem = too_large(limit)


def too_large(limit: int) -> Problem:
    detail = f"The body is larger than {limit} bytes; send fewer items per request."
    return Problem("body-too-large", 413, "Body too large", detail, headers={"Connection": "close"})


class BodyCap:
    """Refuses a body over `limit` bytes, announced or streamed, before it is held in memory."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not announced.isdigit() or int(announced) > self.limit:
            await too_large(self.limit).response()(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                if read > self.limit:
                    raise BodyTooLarge(self.limit)
            return message

        await self.app(scope, counted, send)
