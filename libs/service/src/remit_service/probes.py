"""What a worker answers over HTTP: its probes and metrics, nothing else."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from remit_service.problems import Problem

PROBES = frozenset({"/livez", "/readyz", "/metrics", "/version"})


class ProbesOnly:
    """An app reduced to health, metrics and version."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in PROBES:
            detail = "This is a worker: it answers probes only. Send requests to the api process."
            await Problem("no-such-route", 404, "No such route", detail).response()(scope, receive, send)
            return
        await self.app(scope, receive, send)
