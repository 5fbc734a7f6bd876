"""HTTP clients to other services: pooled, carrying the service key and the trace."""

from __future__ import annotations

import httpx
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, StatusCode

from remit_service.settings import ServiceSettings

_tracer = trace.get_tracer("remit_service")


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

    `transport` replaces the network, as `httpx.ASGITransport(app)` does in a simulation. `timeout` is in seconds.
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
