"""Processes a path is measured against, started and stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

START_SECONDS = 30.0
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")


@contextmanager
def running(arguments: list[str], port: int, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """`python ARGUMENTS`, until the block ends; gives its id once it listens on the port."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    process = subprocess.Popen([sys.executable, *arguments], env=kept | dict(environment or {}))
    try:
        _wait(process, port)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    give_up = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{' '.join(map(str, process.args))} does not listen on {port}")
