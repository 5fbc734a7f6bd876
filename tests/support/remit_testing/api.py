"""The HTTP APIs of all four services as one caller sees them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import httpx
from uuid6 import uuid7

from remit_local.installation import Installation
from remit_testing.installations import KEY

PATIENCE = 60.0
READS = {
    "invoice-svc": "/v1/sellers/me",
    "scheduler-svc": "/v1/automation",
    "notifier-svc": "/v1/live-mode",
    "escalation-svc": "/v1/tasks",
}


class Api:
    """With the seller's key. `patient`: what is away for a moment is asked again, with one Idempotency-Key."""

    def __init__(self, clients: Mapping[str, httpx.AsyncClient], *, patient: bool = False) -> None:
        self.clients = clients
        self._patience = PATIENCE if patient else 0.0

    @classmethod
    def of(cls, *replicas: Installation, patient: bool = False) -> Api:
        """Over the network; with several replicas each request goes to the next one's."""
        headers = {"Authorization": f"Bearer {KEY}"}
        made = {
            name: httpx.AsyncClient(
                base_url=url,
                headers=headers,
                timeout=30,
                transport=_InTurn([one.addresses.ports[name] for one in replicas]),
            )
            for name, url in replicas[0].addresses.urls().items()
        }
        return cls(made, patient=patient)

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for client in self.clients.values():
            await client.aclose()

    async def known(self, *services: str) -> None:
        """Until those services, all unless named, know the key, which reaches them as an event."""
        for service in services or READS:
            path = READS[service]
            give_up = time.monotonic() + PATIENCE
            while (await self.clients[service].get(path)).status_code == 401:
                assert time.monotonic() < give_up, f"{service} never heard of the key"
                await asyncio.sleep(0.05)

    async def get(self, service: str, path: str, **params: Any) -> Any:
        return await self._said(service, "GET", path, params=params)

    async def put(self, service: str, path: str, body: Any) -> Any:
        return await self._said(service, "PUT", path, json=body)

    async def post(self, service: str, path: str, body: Any, **params: Any) -> Any:
        headers = {"Idempotency-Key": str(uuid7())}
        return await self._said(service, "POST", path, json=body, params=params, headers=headers)

    async def all(self, service: str, path: str, **params: Any) -> list[Any]:
        """Every element of a list, page after page."""
        found: list[Any] = []
        cursor: str | None = None
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = await self.get(service, path, limit=200, **params, **more)
            found += page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return found

    async def _said(self, service: str, method: str, path: str, **options: Any) -> Any:
        give_up = time.monotonic() + self._patience
        while True:
            answer = await self._tried(service, method, path, **options)
            if isinstance(answer, httpx.Response) and answer.is_success:
                return answer.json()
            if not self._may_pass(answer) or time.monotonic() >= give_up:
                raise AssertionError(f"{method} {service}{path}: {getattr(answer, 'text', repr(answer))}")
            await asyncio.sleep(0.2)

    async def _tried(self, service: str, method: str, path: str, **options: Any) -> httpx.Response | Exception:
        try:
            return await self.clients[service].request(method, path, **options)
        except httpx.TransportError as error:
            return error

    @staticmethod
    def _may_pass(answer: httpx.Response | Exception) -> bool:
        """Whether it may be another answer in a moment."""
        if isinstance(answer, Exception):
            return True
        return answer.status_code >= 500 or "Retry-After" in answer.headers


class _InTurn(httpx.AsyncHTTPTransport):
    """Sends each request to the next of several ports."""

    def __init__(self, ports: Sequence[int]) -> None:
        super().__init__(limits=httpx.Limits(max_connections=100, max_keepalive_connections=100), trust_env=False)
        self._ports = itertools.cycle(ports)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(port=next(self._ports))
        return await super().handle_async_request(request)
