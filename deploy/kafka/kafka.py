"""Runs one real Apache Kafka on this machine, in the foreground, from its Maven artifacts.

    python deploy/kafka/kafka.py start [--data DIR] [--port 9092]     until Ctrl-C
    python deploy/kafka/kafka.py fetch                                only gets the jars (43 MB, once)

Needs a Java runtime (17 or later), and Maven for the first time. The jars lie in .cache/kafka, or where
REMIT_KAFKA_HOME says. Exit code 2 with one line when something is missing or the port is taken.
"""

# A command of its own: it prints, and runs what it found on the PATH.
# ruff: noqa: S603, T201

from __future__ import annotations

import argparse
import base64
import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOME = Path(os.environ.get("REMIT_KAFKA_HOME") or HERE.parents[1] / ".cache" / "kafka")
JARS = ("kafka_2.13-", "log4j-slf4j-impl-")
START_SECONDS = 120
STOP_SECONDS = 20


class UnusableError(Exception):
    """What is missing and what to do, in one line."""


def fetch(home: Path) -> None:
    """Copies Kafka's jars to `home` unless they are there."""
    if all(any(home.glob(f"{jar}*.jar")) for jar in JARS):
        return
    maven = shutil.which("mvn")
    if maven is None:
        raise UnusableError(f"Kafka's jars are not in {home} and Maven is not here to get them: install maven")
    partial = home.with_name(f"{home.name}.{uuid.uuid4().hex[:8]}")
    partial.mkdir(parents=True)
    try:
        done = subprocess.run(
            [maven, "-B", "-q", "-f", HERE / "pom.xml", "dependency:copy-dependencies", f"-DoutputDirectory={partial}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise UnusableError(f"Maven could not get Kafka's jars: {_last_line(done.stdout)}")
        home.mkdir(parents=True, exist_ok=True)
        for jar in partial.iterdir():
            jar.replace(home / jar.name)  # one by one and whole: another process may be doing the same
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def java() -> str:
    """The Java to run with."""
    found = os.environ.get("JAVA_HOME", "") and shutil.which("java", path=os.environ["JAVA_HOME"] + "/bin")
    found = found or shutil.which("java")
    if not found:
        raise UnusableError("Java is not here: install a runtime of version 17 or later")
    told = subprocess.run([found, "-version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    version = re.search(r'version "(\d+)', told.stdout)
    if version is None or int(version[1]) < 17:
        raise UnusableError(f"Kafka needs Java 17 or later; {found} says {told.stdout.strip().splitlines()[:1]}")
    return found


def prepare(runtime: str, home: Path, data: Path, port: int) -> Path:
    """Writes the configuration and formats the data folder once; gives the configuration's path."""
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableError(f"{data} cannot be made: {error.strerror}; choose another folder with --data") from error
    config = data / "server.properties"
    template = (HERE / "server.properties").read_text(encoding="utf-8")
    for name, value in {"port": port, "controller": port + 1, "data": data.as_posix()}.items():
        template = template.replace(f"{{{name}}}", str(value))
    config.write_text(template, encoding="utf-8")
    if not (data / "log" / "meta.properties").exists():
        storage = [runtime, "-cp", f"{home}/*", "kafka.tools.StorageTool", "format"]
        command = [*storage, "-t", cluster_id(), "-c", str(config)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise UnusableError(f"{data} could not be formatted: {_last_line(done.stdout)}")
    return config


def cluster_id() -> str:
    """A random one as Kafka itself makes them: never with a dash first, which would be read as an option."""
    while (made := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made


def check_port(port: int) -> None:
    for wanted in (port, port + 1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError as error:
                raise UnusableError(f"port {wanted} is in use: stop what listens there or choose --port N") from error


def start(home: Path, data: Path, port: int) -> int:
    """Runs the server until it ends or a signal stops it; its exit code."""
    check_port(port)
    runtime = java()
    fetch(home)
    config = prepare(runtime, home, data, port)
    with (data / "kafka.log").open("a", encoding="utf-8") as log:
        server = subprocess.Popen(
            [runtime, "-Xmx512m", "-cp", f"{home}/*", "kafka.Kafka", config],
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C comes to us alone, and we stop it in good order
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  no threads here
        )
    stopping: list[int] = []

    def stop(number: int, _frame: object) -> None:
        stopping.append(number)
        server.terminate()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        if _wait_until_ready(server, port):
            print(
                f"Kafka is ready on 127.0.0.1:{port} (EVENTS_URL=kafka://127.0.0.1:{port}); Ctrl-C stops it", flush=True
            )
        code = server.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.terminate()
            server.wait(STOP_SECONDS)
    if stopping:
        return 0
    raise UnusableError(f"Kafka ended by itself with code {code}: see {data / 'kafka.log'}")


def _wait_until_ready(server: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.1)
    return False


def _die_with_parent() -> None:
    """The server must not outlive this script, even one that was killed (prctl PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def main() -> int:
    parser = argparse.ArgumentParser(description="One Apache Kafka on this machine.")
    parser.add_argument("command", choices=("start", "fetch"), nargs="?", default="start")
    parser.add_argument("--home", type=Path, default=HOME, help="where the jars lie")
    parser.add_argument("--data", type=Path, default=Path(".remit/kafka"), help="where the log is kept")
    parser.add_argument("--port", type=int, default=9092, help="the broker's; the controller takes the next one")
    given = parser.parse_args()
    try:
        if given.command == "fetch":
            fetch(given.home.resolve())
            return 0
        return start(given.home.resolve(), given.data.resolve(), given.port)
    except UnusableError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
