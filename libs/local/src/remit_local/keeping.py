"""Sees to it that the embedded PostgreSQL runs as long as what needs it."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from remit_local.postgres import EmbeddedPostgres, PostgresFailedError

LOOK_SECONDS = 2.0

log = structlog.get_logger(__name__)


async def keep_running(server: EmbeddedPostgres, stop: asyncio.Event) -> None:
    """Starts a server anew that ended by itself, as it does when its disk is full; tries until `stop` is set."""
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await stop.wait()
        if not stop.is_set() and not server.is_running():
            try:
                await asyncio.to_thread(server.start)
                log.warning("PostgreSQL had ended and runs again")
            except PostgresFailedError as error:
                log.error("PostgreSQL has ended", reason=str(error))
