"""The four services as processes of their own, killed at named points and started again.

async with Running(installation, folder) as running:
    running.arm("notifier-svc", faults.SENDING)
    await running.api.post("invoice-svc", "/v1/invoices", {...})
    await running.killed()              # the process that got there is gone
    running.start("notifier-svc")
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from remit_local.home import SERVICES
from remit_local.installation import Installation, package_of
from remit_local.live import wait_ready
from remit_testing.api import Api

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_RUNTIME_DIR", "VIRTUAL_ENV")
STOP_SECONDS = 40.0


class Running:
    """Used as an async context manager: starts all four and waits until they are ready; stops them by SIGTERM."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.installation = installation
        self.folder = folder
        self.fault = folder / "fault"
        self.kills: list[tuple[str, str]] = []
        self._armed: tuple[str, str] | None = None
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.api = Api.of(installation, patient=True)

    async def __aenter__(self) -> Running:
        try:
            for name in SERVICES:
                self.start(name)
            await self.ready()
        except BaseException:
            self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        async with self.api:
            codes = await asyncio.to_thread(self._stop)
        if error is None:
            assert set(codes.values()) == {0}, f"exit codes on SIGTERM: {codes}\n{self.said()}"

    def start(self, name: str) -> None:
        """`python -m X_svc run`, as production runs it."""
        environment = {key: value for key in KEPT if (value := os.environ.get(key))}
        environment |= self.installation.environment(name)
        environment |= {"FAULT_FILE": str(self.fault), "LOG_LEVEL": "warning"}
        with self._log(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", package_of(name), "run"],
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        await wait_ready(self.installation.addresses.urls(), 60)

    def arm(self, service: str, point: str) -> None:
        """The next process of `service` that comes to `point` kills itself with SIGKILL."""
        self._armed = service, point
        self.fault.with_suffix(".hit").unlink(missing_ok=True)
        fresh = self.fault.with_suffix(".new")
        fresh.write_text(f"{service} {point}", encoding="utf-8")
        fresh.rename(self.fault)

    def hit(self) -> bool:
        """Whether the armed point was reached."""
        return self.fault.with_suffix(".hit").exists()

    async def killed(self) -> None:
        """To be called once `hit`: waits for the end of the process and checks that SIGKILL was its end."""
        assert self._armed
        service, _ = self._armed
        code = await asyncio.to_thread(self._processes[service].wait, 10)
        assert code == -signal.SIGKILL, f"{service} ended with {code}\n{self.said()}"
        self.kills.append(self._armed)
        self._armed = None

    def check(self) -> None:
        """Raises when a process that was not to be killed has ended."""
        ended = {name: code for name, one in self._processes.items() if (code := one.poll()) is not None}
        if self._armed and self.hit():
            ended.pop(self._armed[0], None)
        assert not ended, f"ended by themselves: {ended}\n{self.said()}"

    def said(self) -> str:
        """The ends of the logs, for a failure's message."""
        ends = [(name, self._log(name).read_text(errors="replace").splitlines()[-15:]) for name in SERVICES]
        return "\n".join(f"{name}: {line}" for name, lines in ends for line in lines)

    def _log(self, name: str) -> Path:
        path = self.folder / f"{name}.log"
        path.touch()
        return path

    def _stop(self) -> dict[str, int]:
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
        codes = {}
        for name, process in self._processes.items():
            try:
                codes[name] = process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                codes[name] = process.wait()
        return codes
