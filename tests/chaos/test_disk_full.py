"""`remit run` on a disk that fills up: what was accepted is there, and work goes on by itself once there is room."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import httpx
import pytest
from remit_testing.figures import Invariant
from remit_testing.ports import free_ports
from remit_testing.terminal import RemitRun, Terminal

from remit_local.live import wait_ready

MEGABYTES = 300
READY_SECONDS = 120.0
BACK_SECONDS = 60.0
FULL_POSTS = 12


@pytest.fixture
def disk(open_folder: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder = open_folder / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=755", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("a disk cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(disk: Path, rounds: Callable[..., int], invariant: Callable[[int, str], Invariant]) -> None:
    port, total = str(free_ports()), rounds(full=10, short=2)
    answers, slowest = Counter[str](), 0.0
    with RemitRun(Terminal(disk), "--no-sample", "--port", port) as running:
        running.ready(READY_SECONDS)
        key = (disk / ".remit" / "key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as client:
            for n in range(total):
                fill(disk / "filler")
                waiting = []
                for k in range(FULL_POSTS):
                    # In the second half the log of the database itself finds no room, and the server ends.
                    if n % 2 and k == FULL_POSTS // 2:
                        asyncio.run(crash(disk / ".remit" / "postgres"))
                    status = post(client, name := f"C-{n}-{k}")
                    answers[str(status)] += 1
                    if status != 201:
                        waiting.append(name)
                (disk / "filler").unlink()
                began = time.monotonic()
                for name in waiting:
                    while post(client, name) != 201:
                        assert time.monotonic() - began < BACK_SECONDS, running.complained
                        time.sleep(0.2)
                slowest = max(slowest, time.monotonic() - began)
            there = customers(client)
            asyncio.run(wait_ready({str(n): f"http://127.0.0.1:{int(port) + n}" for n in range(4)}, BACK_SECONDS))
        assert running.interrupted(60) == 0
    assert there == Counter({f"C-{n}-{k}": 1 for n in range(total) for k in range(FULL_POSTS)})
    assert set(answers) <= {"201", "503"}, answers
    assert answers["503"] > 0
    invariant(8, "disk full under the embedded database").held(
        rounds=total,
        accepted=sum(there.values()),
        lost=0,
        doubled=0,
        answers=dict(answers),
        slowest_back_s=round(slowest, 1),
    )


def fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 65_536)


async def crash(folder: Path) -> None:
    """Writes more than the database's log has room for."""
    try:
        connection = await asyncpg.connect(host=str(folder), port=5432, user="postgres", database="postgres")
        for _ in range(60):
            await connection.execute("SELECT pg_logical_emit_message(true, 'full', repeat('x', 1000000))")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return
    raise AssertionError("there was room")


def post(client: httpx.Client, name: str) -> int:
    """One customer, under one Idempotency-Key however often."""
    body = {"external_id": name, "name": "x" * 200, "profile": "business", "country": "DE"}
    return client.post("/v1/customers", json=body, headers={"Idempotency-Key": name}).status_code


def customers(client: httpx.Client) -> Counter[str]:
    """External ids of the customers there are, with how many have each."""
    found, cursor = Counter[str](), None
    while True:
        page = client.get("/v1/customers", params={"limit": 200} | ({"cursor": cursor} if cursor else {})).json()
        found.update(one["external_id"] for one in page["data"])
        cursor = page.get("next_cursor")
        if not cursor:
            return found
