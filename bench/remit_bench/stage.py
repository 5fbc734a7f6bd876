"""What paths run on: a durable PostgreSQL, a real Kafka, migrated databases."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
from remit_testing.kafka import KafkaServer

from remit_bench.machine import Processes
from remit_local.postgres import EmbeddedPostgres


@dataclass
class Stage:
    """`postgres` fsyncs every commit; `kafka` is started when first asked for. `scale` 1 is the full size."""

    folder: Path
    postgres: EmbeddedPostgres
    rounds: int
    scale: float
    _broker: KafkaServer | None = None

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    @property
    def kafka(self) -> KafkaServer:
        """As `make kafka` starts it."""
        if self._broker is None:
            self._broker = KafkaServer(self.folder / "kafka", short_life=False)
            self._broker.start()
        return self._broker

    def close(self) -> None:
        if self._broker is not None:
            self._broker.stop()

    async def make_database(self) -> str:
        name = f"bench_{next(self._numbers)}"
        await self.postgres.create_databases(name)
        return self.postgres.url(name)

    async def drop_database(self, url: str) -> None:
        """Nobody is connected to it any more."""
        plain = await asyncpg.connect(self.postgres.url("postgres").replace("+asyncpg", ""))
        try:
            await plain.execute(f'DROP DATABASE "{urlsplit(url).path[1:]}"')
        finally:
            await plain.close()

    def size(self, full: int) -> int:
        """How many of something, at this scale."""
        return max(round(full * self.scale), 1)

    def processes(self, **more: Callable[[], int | None]) -> Processes:
        """This process, the servers that run, and `more`."""
        groups = {
            "client": os.getpid,
            "PostgreSQL": self._postmaster,
            "Kafka": lambda: self._broker and self._broker.pid,
        }
        return Processes(groups | more)

    def _postmaster(self) -> int:
        return int((self.postgres.folder / "postmaster.pid").read_text().split()[0])


@contextmanager
def stage(rounds: int, scale: float) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="remit-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with EmbeddedPostgres(folder / "postgres") as postgres:
            on = Stage(folder, postgres, rounds, scale)
            try:
                yield on
            finally:
                on.close()
