"""uvicorn as a part of a process that has other things to do: own socket, own signals, own stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import signal
import socket
from collections.abc import Iterator
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from remit_service.connections import Guarded, Limits

GRACE_SECONDS = 10
TICK_SECONDS = 1.0


class NoPortError(OSError):
    """A port cannot be had; `str()` says what to do. `in_use`: by another; `no_host`: the host is not this machine."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        self.in_use = error.errno == errno.EADDRINUSE
        self.no_host = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
        self.why = error.strerror
        if self.no_host:
            variable, way_out = "HOST", "give an address of this machine with HOST"
        else:
            stop = "stop what uses it or " if self.in_use else ""
            variable, way_out = "PORT", f"{stop}choose another with PORT"
        super().__init__(f"{variable}: cannot listen on {host}:{port} ({self.why}); {way_out}")


def listen(host: str, port: int) -> socket.socket:
    """A bound socket, port 0 for any; raises NoPortError."""
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(kind, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(2048)
    except OSError as error:
        bound.close()
        raise NoPortError(host, port, error) from None
    bound.setblocking(False)
    return bound


def as_many_files_as_allowed() -> None:
    """Every connection is an open file, and many systems begin with 1,024 of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _Server(uvicorn.Server):
    """Signals belong to the process, not to one of its servers; it wakes once a second, not ten times."""

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event) -> None:
        super().__init__(config)
        self._stop = stop

    async def main_loop(self) -> None:
        while not (self._stop.is_set() or await self.on_tick(0)):  # 0: with a new Date header
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), TICK_SECONDS)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: ASGIApp,
    bound: socket.socket,
    stop: asyncio.Event,
    *,
    grace: float = GRACE_SECONDS,
    limits: Limits | None = None,
) -> None:
    """Serves until `stop`; requests that run then have `grace` seconds to finish."""
    config = uvicorn.Config(
        app,
        http=partial(Guarded, limits or Limits()),  # type: ignore[arg-type]  # a protocol's class, all but one argument
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=max(1, round(grace)),
    )
    server = _Server(config, stop)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        stopping.cancel()
        if not serving.done():
            server.should_exit = True
            serving.cancel()
        await asyncio.gather(serving, stopping, return_exceptions=True)


@contextlib.contextmanager
def stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Inside, SIGTERM and SIGINT begin the drain by setting `stop`; a second SIGINT ends the process as usual."""
    loop = asyncio.get_running_loop()

    def begin(number: signal.Signals) -> None:
        stop.set()
        if number == signal.SIGINT:
            loop.remove_signal_handler(signal.SIGINT)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, begin, number)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
