"""An SMTP server that accepts everything and keeps nothing: `python -m remit_bench.smtp_sink PORT`.

NOOP is answered with the number of messages it has said 250 to.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import cast

import uvloop

_END = b"\r\n.\r\n"
_ANSWERS = {
    b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 33554432\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}


class Peer(asyncio.Protocol):
    """One conversation."""

    accepted = 0  # by all of them

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._read, self._in_data = b"", False
        self._transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._read += data
        while not self._in_data or self._read.endswith(_END):
            if self._in_data:
                self._take()
                return
            line, end, rest = self._read.partition(b"\r\n")
            if not end:
                return
            self._read = rest
            self._answer(line[:4].upper())

    def _take(self) -> None:
        """A client waits for the answer to its message, so what has come in ends with it."""
        Peer.accepted += 1
        self._read, self._in_data = b"", False
        self._transport.write(b"250 2.0.0 taken as %d\r\n" % Peer.accepted)

    def _answer(self, command: bytes) -> None:
        self._in_data = command == b"DATA"
        if command == b"NOOP":
            self._transport.write(b"250 %d\r\n" % Peer.accepted)
        else:
            self._transport.write(_ANSWERS.get(command, b"250 ok\r\n"))
        if command == b"QUIT":
            self._transport.close()


async def main(port: int) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(Peer, "127.0.0.1", port)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
