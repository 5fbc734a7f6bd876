"""What one connection may cost: uvicorn's protocol with bounds on head, bodies in memory, and time to be sent in.

uvicorn itself takes a head of any length, waits for the rest of a request for ever, and keeps of every body what was
read of it; an ingress may stand before the service or not.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from remit_service.problems import Problem

# Request line, headers, trailers and what chunks are framed with. A key and a trace take less than 1 kB.
LARGEST_HEAD = 65_536
# A body up to this is taken however many others there are.
SMALL_BODY = 16_384
# Requests sent ahead on one connection before the first is answered; each costs a hundred times its bytes.
MOST_AHEAD = 20


class TooManyAheadError(Exception):
    """Ends the parsing of what came in; uvicorn answers it with 400 and hangs up."""


@dataclass
class Limits:
    """Of one server: `held` bytes of bodies are in memory, of `most_held` it wants; a request has `seconds` to come."""

    seconds: float = 30.0
    most_held: int = 64_000_000
    held: int = 0


class Guarded(HttpToolsProtocol):
    """One connection. What goes too far is answered, if it can be, and hung up on."""

    def __init__(self, limits: Limits, **given: Any) -> None:
        super().__init__(**given)
        self._limits = limits
        self._framing = 0  # bytes of the request that came in and were none of its body
        self._body = 0
        self._whole = False
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._forget_body()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._whole = False
        self._framing += len(data)
        super().data_received(data)
        if self._framing > LARGEST_HEAD + self._body:
            self._hang_up(_too_much())
        elif self._whole:
            self._stop_waiting()
        elif self._late is None:
            self._wait()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MOST_AHEAD:
            raise TooManyAheadError
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        self._framing -= len(body)
        if self.cycle.response_complete:
            return  # nobody keeps it
        self._body += len(body)
        self._limits.held += len(body)
        if self._limits.held > self._limits.most_held and self._body > SMALL_BODY:
            self._hang_up(_busy())
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._whole, self._framing = True, 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._forget_body()
        super().on_response_complete()

    def _forget_body(self) -> None:
        self._limits.held -= self._body
        self._body = 0

    def _wait(self) -> None:
        self._late = asyncio.get_running_loop().call_later(self._limits.seconds, self._is_late)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _is_late(self) -> None:
        self._hang_up(_slow(self._limits.seconds) if self._framing else None)

    def _hang_up(self, problem: Problem | None) -> None:
        """With an answer, unless one has begun to leave already."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        running = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if problem is not None and not running:
            self.transport.write(_raw(problem))
        self.transport.close()


def _raw(problem: Problem) -> bytes:
    response = problem.response()
    lines = [f"HTTP/1.1 {problem.status} {problem.title}".encode()]
    lines += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join([*lines, b"connection: close", b"", bytes(response.body)])


def _too_much() -> Problem:
    detail = f"The request line and the headers together may have {LARGEST_HEAD} bytes."
    return Problem("head-too-large", 431, "Request head too large", detail)


def _slow(seconds: float) -> Problem:
    detail = f"The whole request must have come in within {seconds:g} seconds; send fewer items per request."
    return Problem("request-too-slow", 408, "Request too slow", detail)


def _busy() -> Problem:
    detail = "Too many large requests are coming in at once. Send this one again in a moment."
    return Problem("too-busy", 503, "Not available just now", detail, headers={"Retry-After": "1"})
