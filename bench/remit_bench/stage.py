"""What paths run on: a durable PostgreSQL, a real Kafka, migrated databases."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from remit_testing.kafka import KafkaServer

from remit_bench.machine import Processes
from remit_local.postgres import EmbeddedPostgres


@dataclass
class Stage:
    """`postgres` fsyncs every commit; `kafka` runs as `make kafka` starts it. `scale` 1 is the full size."""

    folder: Path
    postgres: EmbeddedPostgres
    kafka: KafkaServer
    rounds: int
    scale: float

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    async def make_database(self) -> str:
        name = f"bench_{next(self._numbers)}"
        await self.postgres.create_databases(name)
        return self.postgres.url(name)

    def size(self, full: int) -> int:
        """How many of something, at this scale."""
        return max(round(full * self.scale), 1)

    def processes(self, **more: Callable[[], int | None]) -> Processes:
        """This process, the two servers, and `more`."""
        groups = {"client": os.getpid, "PostgreSQL": self._postmaster, "Kafka": lambda: self.kafka.pid}
        return Processes(groups | more)

    def _postmaster(self) -> int:
        return int((self.postgres.folder / "postmaster.pid").read_text().split()[0])


@contextmanager
def stage(rounds: int, scale: float) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="remit-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        kafka = KafkaServer(folder / "kafka", short_life=False)
        with EmbeddedPostgres(folder / "postgres") as postgres:
            kafka.start()
            try:
                yield Stage(folder, postgres, kafka, rounds, scale)
            finally:
                kafka.stop()
