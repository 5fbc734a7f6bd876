"""One real Apache Kafka for all test processes of a run, started from the same script as `make kafka`."""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

from remit_testing.ports import free_ports

SCRIPT = Path(__file__).resolve().parents[3] / "deploy" / "kafka" / "kafka.py"
START_SECONDS = 180  # with the jars to be fetched
# A broker for minutes: what compiling it well takes it never gives back.
SHORT_LIFE = {"JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}


class KafkaServer:
    """A broker on a port of its own; `stop` and `start` keep its data. `short_life`: see SHORT_LIFE."""

    def __init__(self, folder: Path, *, short_life: bool = True) -> None:
        self.folder = folder
        self._environment = os.environ | (SHORT_LIFE if short_life else {})
        self.port = free_ports(2)
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"kafka://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Returns when the broker listens; RuntimeError says why it does not."""
        self._process = subprocess.Popen(
            [sys.executable, SCRIPT, "start", "--data", self.folder, "--port", str(self.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment,
        )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        said = self._process.stdout.readline() if ready else "it said nothing in time"
        if "ready" not in said:
            self.stop()
            raise RuntimeError(f"Kafka did not start: {said.strip()}")

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def kill(self) -> None:
        """kill -9 of the broker itself, as a machine failure would."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for broker in children:
            os.kill(int(broker), signal.SIGKILL)
        self.stop()


@pytest.fixture(scope="session")
def kafka_tools() -> None:
    """Skips without a JDK and Maven, unless REMIT_REQUIRE_KAFKA=1 says that they must be there."""
    home = Path(os.environ.get("REMIT_KAFKA_HOME") or SCRIPT.parents[2] / ".cache" / "kafka")
    tools = ("java",) if any(home.glob("kafka_2.13-*.jar")) else ("java", "mvn")
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing and os.environ.get("REMIT_REQUIRE_KAFKA") != "1":
        pytest.skip(f"no {' and no '.join(missing)} for a real Kafka")


@pytest.fixture(scope="session")
def kafka_url(kafka_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """EVENTS_URL of the run's broker; tests keep apart by topic prefixes that no other process has."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "kafka"
    folder.mkdir(exist_ok=True)
    with (folder / "door").open("a") as door, (folder / "users").open("a") as users:
        with _locked(door):
            fcntl.flock(users, fcntl.LOCK_SH)
            server = _started_unless_there(folder)
        yield (folder / "url").read_text()
        fcntl.flock(users, fcntl.LOCK_UN)
        while server is not None:
            # Whoever started it waits for the others to leave; who comes later starts another.
            with _locked(door), suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                (folder / "url").unlink()
                server.stop()
                shutil.rmtree(server.folder)
                return
            time.sleep(0.2)


@pytest.fixture(params=["postgresql", "kafka"])
def events_url(request: pytest.FixtureRequest) -> str | None:
    """Both transports: the URL of the session's Kafka, or None for the event log on PostgreSQL."""
    return request.getfixturevalue("kafka_url") if request.param == "kafka" else None


@pytest.fixture
def own_kafka(kafka_tools: None) -> Iterator[KafkaServer]:
    """A broker that the test may stop and start."""
    with tempfile.TemporaryDirectory(prefix="remit-kafka-", ignore_cleanup_errors=True) as folder:
        server = KafkaServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _started_unless_there(folder: Path) -> KafkaServer | None:
    """The server when this process is the one that started it."""
    url = folder / "url"
    if url.exists():
        return None
    server = KafkaServer(folder / "data")
    server.start()
    url.write_text(server.url)
    return server


@contextmanager
def _locked(file: IO[str]) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
