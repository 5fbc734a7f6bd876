"""A caller that costs little: HTTP/1.1 on connections kept open, the next request when the answer is there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence


class Caller:
    """`connections` callers at once; raises on an answer that is not 2xx."""

    def __init__(self, port: int, connections: int, headers: Sequence[tuple[str, str]] = ()) -> None:
        self._port, self._count = port, connections
        self._fixed = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self._lines: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __aenter__(self) -> Caller:
        self._lines = [await asyncio.open_connection("127.0.0.1", self._port) for _ in range(self._count)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for _, writer in self._lines:
            writer.close()

    async def post(self, path: str, bodies: Sequence[bytes]) -> int:
        """Posts all of them as fast as answers come; gives how many."""
        waiting = iter(bodies)
        await asyncio.gather(*(self._work(line, path, waiting) for line in self._lines))
        return len(bodies)

    async def _work(self, line: tuple[asyncio.StreamReader, asyncio.StreamWriter], path: str, bodies: object) -> None:
        reader, writer = line
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{self._fixed}"
        for body in bodies:  # type: ignore[attr-defined]  # an iterator all share
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            content = await reader.readexactly(_length(answer))
            if not answer.startswith(b"HTTP/1.1 2"):
                raise RuntimeError(f"{answer.splitlines()[0].decode()}: {content[:500].decode()}")


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
