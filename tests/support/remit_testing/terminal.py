"""`remit` as a user types it: in a folder of their own, with nothing of Remit in the environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

REMIT = Path(sys.executable).parent / "remit"
KEPT = ("HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_RUNTIME_DIR")
RUNNING = "Remit is running."


class Terminal:
    """A working directory and an environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {name: value for name in KEPT if (value := os.environ.get(name))}
        self.environment |= {"PATH": f"{REMIT.parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "160"}

    def remit(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command that ends by itself."""
        return self._done([str(REMIT), *arguments])

    def typed(self, line: str) -> subprocess.CompletedProcess[str]:
        """A line as it was printed."""
        return self._done(["bash", "-c", line])

    def _done(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120
        )


class RemitRun:
    """`remit run`; a context manager that makes sure it is gone afterwards."""

    def __init__(self, terminal: Terminal, *arguments: str) -> None:
        self._terminal = terminal
        self._arguments = arguments
        self._said = terminal.folder / f"said-{time.monotonic_ns()}"
        self.seconds_to_ready = 0.0

    def __enter__(self) -> RemitRun:
        with self._said.open("wb") as said, self._complaints.open("wb") as complaints:
            self._process = subprocess.Popen(
                [str(REMIT), "run", *self._arguments],
                cwd=self._terminal.folder,
                env=self._terminal.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=complaints,
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def said(self) -> str:
        return self._said.read_text(encoding="utf-8")

    @property
    def complained(self) -> str:
        return self._complaints.read_text(encoding="utf-8")

    def ready(self, seconds: float) -> str:
        """Waits until it says that it runs; gives what it said."""
        started = time.monotonic()
        while RUNNING not in self.said:
            assert self._process.poll() is None, f"ended with {self._process.returncode}\n{self.said}{self.complained}"
            assert time.monotonic() - started < seconds, f"not ready in time\n{self.said}{self.complained}"
            time.sleep(0.05)
        self.seconds_to_ready = time.monotonic() - started
        return self.said

    def interrupted(self, seconds: float) -> int:
        """Ctrl-C, and the exit code."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(seconds)

    def killed(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait()

    @property
    def _complaints(self) -> Path:
        return self._said.with_suffix(".err")


def commands(said: str) -> list[str]:
    """The commands under "Try next:"."""
    return [line.strip() for line in said.partition("Try next:\n")[2].splitlines() if line.startswith("  ")]
