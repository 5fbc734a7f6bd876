"""Both ends of the way of an e-mail: the peer that takes it, and a bare pool of connections that sends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiosmtplib import SMTP
from remit_testing.ports import free_port

from remit_bench.process import running

LOOK_SECONDS = 0.01
GIVE_UP_SECONDS = 120.0
FROM, TO = "billing@nordlicht.example", "ap@c1.example"


class Sink:
    """The peer, a process of its own (`pid`)."""

    def __init__(self, port: int, pid: int, client: SMTP) -> None:
        self.port, self.pid = port, pid
        self._client = client

    async def accepted(self) -> int:
        """How many messages it has said 250 to."""
        return int((await self._client.noop()).message)

    async def reaches(self, count: int) -> None:
        """Returns when it has accepted so many."""
        give_up = time.monotonic() + GIVE_UP_SECONDS
        while (accepted := await self.accepted()) < count:
            if time.monotonic() > give_up:
                raise TimeoutError(f"{accepted} of {count} messages were accepted in {GIVE_UP_SECONDS:.0f} s")
            await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def sink() -> AsyncIterator[Sink]:
    port = free_port()
    with running(["-m", "remit_bench.smtp_sink", str(port)], port) as pid:
        async with _client(port) as client:
            yield Sink(port, pid, client)


class Pool:
    """`connections` kept open, each sending its next message when the last is accepted."""

    def __init__(self, clients: list[SMTP]) -> None:
        self._clients = clients

    async def send(self, message: bytes, count: int) -> int:
        left = iter(range(count))

        async def work(client: SMTP) -> None:
            for _ in left:
                await client.sendmail(FROM, TO, message)

        await asyncio.gather(*(work(client) for client in self._clients))
        return count


@asynccontextmanager
async def pool(port: int, connections: int) -> AsyncIterator[Pool]:
    clients = [_client(port) for _ in range(connections)]
    try:
        for client in clients:
            await client.connect()
        yield Pool(clients)
    finally:
        for client in clients:
            client.close()


def _client(port: int) -> SMTP:
    return SMTP(hostname="127.0.0.1", port=port, start_tls=False, local_hostname="localhost")
