"""HTTP clients to other services: pooled, carrying the service key and the trace."""

from __future__ import annotations

import asyncio

import httpx
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, StatusCode
from starlette.types import ASGIApp, Message, Scope

from remit_service.settings import ServiceSettings

_tracer = trace.get_tracer("remit_service")


class InProcessTransport(httpx.AsyncBaseTransport):
    """Calls an ASGI app in this process; what httpx.ASGITransport does, without its half millisecond per call.

    Answers are read whole, so it is for bodies, not for streams.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        unread = [await request.aread()]
        status, headers, parts = 500, [], []

        async def receive() -> Message:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            return await asyncio.Future()  # nobody hangs up in here

        async def send(message: Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status, headers = message["status"], list(message["headers"])
            else:
                parts.append(message.get("body", b""))

        await self._app(_scope(request), receive, send)
        return httpx.Response(status, headers=headers, content=b"".join(parts))


def _scope(request: httpx.Request) -> Scope:
    path = request.url.raw_path.partition(b"?")[0]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": path,
        "root_path": "",
        "query_string": request.url.query,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (request.url.host, request.url.port),
        "client": ("127.0.0.1", 0),
    }


class TracedTransport(httpx.AsyncBaseTransport):
    """One client span per call, without path or query: there may be addresses in them."""

    def __init__(self, inner: httpx.AsyncBaseTransport, peer: str) -> None:
        self._inner, self._peer = inner, peer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = f"{request.method} {self._peer}"
        with _tracer.start_as_current_span(name, kind=SpanKind.CLIENT, record_exception=False) as span:
            propagate.inject(request.headers)
            response = await self._inner.handle_async_request(request)
            if span.is_recording():
                span.set_attribute("http.request.method", request.method)
                span.set_attribute("server.address", request.url.host)
                span.set_attribute("http.response.status_code", response.status_code)
                if response.status_code >= 500:
                    span.set_status(StatusCode.ERROR)
            return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def peer_client(
    name: str,
    base_url: str,
    settings: ServiceSettings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    timeout: float = 10.0,
) -> httpx.AsyncClient:
    """A client to the service `name` acting as a service; give `Remit-Seller` per call to act for a seller.

    `transport` replaces the network, as `InProcessTransport(app)` does in a simulation. `timeout` is in seconds.
    """
    limits = httpx.Limits(max_connections=50, max_keepalive_connections=20)
    inner = transport or httpx.AsyncHTTPTransport(limits=limits, trust_env=False)
    return httpx.AsyncClient(
        base_url=base_url,
        transport=TracedTransport(inner, name),
        timeout=timeout,
        headers={"Authorization": f"Bearer {settings.service_key.get_secret_value()}"},
        trust_env=False,
    )
