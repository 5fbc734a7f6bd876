"""A service as a process of its own, and connections to it that no honest caller opens.

async with Besieged.start(installation, "invoice-svc", folder) as besieged:
    async with besieged.crowd(5_000, HALF_A_HEAD) as crowd:
        await besieged.served()         # the slowest of some honest requests meanwhile, in seconds
    besieged.memory()                   # resident, in MB
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from remit_local.installation import Installation, package_of
from remit_local.live import wait_ready
from remit_testing.installations import KEY
from remit_testing.running import KEPT

HALF_A_HEAD = b"GET /v1/invoices HTTP/1.1\r\nHost: x\r\n"
AUTHORIZED = f"Host: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n".encode()
PATIENCE = 60.0


@dataclass
class Besieged:
    """One running service; `served` asks it as an honest caller does."""

    process: subprocess.Popen[bytes]
    host: str
    port: int

    @classmethod
    @asynccontextmanager
    async def start(
        cls, installation: Installation, service: str, folder: Path, **more: str
    ) -> AsyncIterator[Besieged]:
        """`more` are settings."""
        environment = {key: value for key in KEPT if (value := os.environ.get(key))}
        environment |= installation.environment(service) | {"LOG_LEVEL": "error", **more}
        host, port = installation.addresses.host, installation.addresses.ports[service]
        with (folder / f"{service}.log").open("ab") as log:
            command = [sys.executable, "-m", package_of(service), "run"]
            process = subprocess.Popen(  # noqa: ASYNC220  # it is not waited for
                command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stderr=log
            )
        try:
            await wait_ready({service: f"http://{host}:{port}"}, 60)
            yield cls(process, host, port)
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 40)

    def memory(self) -> float:
        """Resident memory of the process in MB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    async def served(self, requests: int = 20) -> float:
        """The longest time an honest request took, in seconds."""
        headers = {"Authorization": f"Bearer {KEY}"}
        slowest = 0.0
        url = f"http://{self.host}:{self.port}"
        for number in range(requests):
            # A connection of its own each: also the door must be open.
            async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=PATIENCE) as client:
                began = time.perf_counter()
                answer = await client.get("/v1/invoices")
                written = await client.post(
                    "/v1/customers", json={"external_id": f"{number}", "name": "x", "country": "DE"}
                )
                slowest = max(slowest, time.perf_counter() - began)
            assert (answer.status_code, written.status_code) in ((200, 201), (200, 409)), written.text
        return slowest

    @asynccontextmanager
    async def crowd(self, count: int, said: bytes) -> AsyncIterator[Crowd]:
        """So many connections that each say that much and then stay; fewer than asked for when some were refused."""
        crowd = Crowd([])
        try:
            for _ in range(0, count, 250):
                crowd.members += await asyncio.gather(*(self.connect(said) for _ in range(min(250, count))))
            yield crowd
        finally:
            for _, writer in crowd.members:
                writer.transport.abort()

    async def connect(self, said: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(said)
        return reader, writer

    async def pour(self, head: bytes, parts: Callable[[], Iterator[bytes]], limit: int) -> tuple[bytes, int]:
        """Sends until hung up on or `limit` bytes were sent; the answer, and how many bytes were."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        sent = len(head)
        answer = asyncio.create_task(reader.read(65_536))
        with contextlib.suppress(ConnectionError, TimeoutError):
            writer.write(head)
            for part in parts():
                if sent >= limit or reader.at_eof() or writer.is_closing() or answer.done():
                    break
                writer.write(part)
                sent += len(part)
                await asyncio.wait_for(writer.drain(), PATIENCE)
        try:
            return await asyncio.wait_for(answer, PATIENCE), sent
        except (ConnectionError, TimeoutError):
            return b"", sent
        finally:
            writer.transport.abort()


@dataclass
class Crowd:
    members: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]

    async def trickle(self, byte: bytes = b" ") -> None:
        """A byte more on each connection that still stands."""
        for _, writer in self.members:
            if not writer.is_closing():
                writer.write(byte)

    def standing(self) -> int:
        return sum(not reader.at_eof() and not writer.is_closing() for reader, writer in self.members)


def endless(part: bytes) -> Callable[[], Iterator[bytes]]:
    def parts() -> Iterator[bytes]:
        while True:
            yield part

    return parts


__all__: Sequence[str] = ["AUTHORIZED", "HALF_A_HEAD", "Besieged", "Crowd", "endless"]
