"""A line to an SMTP server on this machine that breaks where it is told to.

async with Wire(server.port) as wire:          # the client talks to wire.port
    wire.plan(BEFORE, 1200, ANSWER, WHOLE)     # the next messages, one each
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

# Cut at MAIL; or, as a number, after so many bytes of the message; or before the answer to it; or not at all.
BEFORE, ANSWER, WHOLE = -1, -2, -3
_END = b"\r\n.\r\n"


class Wire:
    def __init__(self, to: int) -> None:
        self.port = 0
        self._to = to
        self._plans: deque[int] = deque()
        self._server: asyncio.Server | None = None

    def plan(self, *cuts: int) -> None:
        self._plans.extend(cuts)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: Any, at: TracebackType | None) -> None:
        assert self._server
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        line = _Conversation(self._plans)
        ways = [
            asyncio.create_task(_pass(reader, back, line.from_client)),
            asyncio.create_task(_pass(there, writer, line.from_server)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (writer, back):
            end.transport.abort()


class _Conversation:
    """One connection; each way says how much of what came goes on, and whether the line still holds."""

    def __init__(self, plans: deque[int]) -> None:
        self._plans = plans
        self._plan = WHOLE
        self._sent = -1  # bytes of the message so far; -1: no message is being sent
        self._tail = b""
        self._ended = False

    def from_client(self, data: bytes) -> tuple[bytes, bool]:
        if data.startswith(b"MAIL FROM"):
            self._plan, self._sent, self._ended = (self._plans.popleft() if self._plans else WHOLE), -1, False
            return (b"", False) if self._plan == BEFORE else (data, True)
        if self._sent < 0:
            if data.startswith(b"DATA"):
                self._sent, self._tail = 0, b""
            return data, True
        if 0 <= self._plan <= self._sent + len(data):
            return data[: self._plan - self._sent], False
        self._sent += len(data)
        self._tail = (self._tail + data)[-len(_END) :]
        if self._tail == _END:
            self._sent, self._ended = -1, True
        return data, True

    def from_server(self, data: bytes) -> tuple[bytes, bool]:
        if self._ended and self._plan == ANSWER:
            return b"", False
        return data, True


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, look: Callable[[bytes], tuple[bytes, bool]]
) -> None:
    holds = True
    while holds and (data := await reader.read(65_536)):
        data, holds = look(data)
        writer.write(data)
        await writer.drain()
