"""The four services as processes of their own, one or two of each, killed at named points and started again.

async with Running(installation, folder, replicas=2) as running:
    running.arm("notifier-svc", faults.SENDING)
    await running.api.post("invoice-svc", "/v1/invoices", {...})
    replica = await running.killed()    # the process that got there is gone
    running.start("notifier-svc", replica)
    await running.restart("invoice-svc", 1)   # SIGTERM, its end, its next start
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from remit_local.errors import RefusedError
from remit_local.home import SERVICES, Addresses
from remit_local.installation import Installation, package_of
from remit_local.live import wait_ready
from remit_testing.api import Api
from remit_testing.ports import free_port

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_RUNTIME_DIR", "VIRTUAL_ENV")
STOP_SECONDS = 40.0
READY_SECONDS = 120.0  # on a busy machine

Who = tuple[str, int]


class Running:
    """Used as an async context manager: starts all and waits until they are ready; stops them by SIGTERM.

    Replica n of every service asks the replicas n of the others; the databases and the bus are the same for all.
    """

    def __init__(self, installation: Installation, folder: Path, *, replicas: int = 1) -> None:
        self.installations = [installation, *(_elsewhere(installation) for _ in range(replicas - 1))]
        self.folder = folder
        self.fault = folder / "fault"
        self.kills: list[tuple[str, str]] = []
        self._armed: tuple[str, str] | None = None
        self._processes: dict[Who, subprocess.Popen[bytes]] = {}
        self.api = Api.of(*self.installations, patient=True)

    async def __aenter__(self) -> Running:
        try:
            for name, n in self.everybody:
                self.start(name, n)
            await self.ready()
        except BaseException:
            self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        async with self.api:
            codes = await asyncio.to_thread(self.stop)
        if error is None:
            assert set(codes.values()) == {0}, f"exit codes on SIGTERM: {codes}\n{self.said()}"

    @property
    def everybody(self) -> list[Who]:
        return [(name, n) for n in range(len(self.installations)) for name in SERVICES]

    def start(self, name: str, replica: int = 0) -> None:
        """`python -m X_svc run`, as production runs it."""
        environment = {key: value for key in KEPT if (value := os.environ.get(key))}
        environment |= self.installations[replica].environment(name)
        environment |= {"FAULT_FILE": str(self.fault), "LOG_LEVEL": "warning"}
        with self._log((name, replica)).open("ab") as log:
            self._processes[name, replica] = subprocess.Popen(
                [sys.executable, "-m", package_of(name), "run"],
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def ready(self, *who: Who) -> None:
        """All, or those named."""
        urls = {f"{name} {n}": self.installations[n].addresses.url(name) for name, n in who or self.everybody}
        try:
            await wait_ready(urls, READY_SECONDS)
        except RefusedError as error:
            raise AssertionError(f"{error}\n{self.said()}") from None

    async def restart(self, name: str, replica: int = 0) -> tuple[float, float]:
        """SIGTERM, and a new one once it has ended; gives the seconds to its end and to the next ready."""
        took, began = await self.end(name, replica), time.monotonic()
        self.start(name, replica)
        await self.ready((name, replica))
        return took, time.monotonic() - began

    async def end(self, name: str, replica: int = 0) -> float:
        """SIGTERM; gives the seconds to its end. Fails when it did not end in good order, with exit code 0."""
        process, began = self._processes[name, replica], time.monotonic()
        process.terminate()
        try:
            code = await asyncio.to_thread(process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{name} {replica} did not end in {STOP_SECONDS:.0f} s\n{self.said()}") from None
        assert code == 0, f"{name} {replica} ended with {code} on SIGTERM\n{self.said()}"
        return time.monotonic() - began

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

    async def killed(self) -> int:
        """To be called once `hit`: waits for the end of the process and checks that SIGKILL was its end.

        Gives the number of the replica.
        """
        assert self._armed
        service, _ = self._armed
        give_up = time.monotonic() + 10
        while not (ended := [who for who in self._ended() if who[0] == service]):
            assert time.monotonic() < give_up, f"{service} lives\n{self.said()}"
            await asyncio.sleep(0.02)
        (who,) = ended
        code = self._processes[who].returncode
        assert code == -signal.SIGKILL, f"{service} ended with {code}\n{self.said()}"
        self.kills.append(self._armed)
        self._armed = None
        return who[1]

    def check(self) -> None:
        """Raises when a process that was not to be killed has ended."""
        ended = self._ended()
        if self._armed and self.hit():
            ended = {who: code for who, code in ended.items() if who[0] != self._armed[0]}
        assert not ended, f"ended by themselves: {ended}\n{self.said()}"

    def said(self) -> str:
        """The ends of the logs, for a failure's message."""
        ends = [(who, self._log(who).read_text(errors="replace").splitlines()[-15:]) for who in self.everybody]
        return "\n".join(f"{name} {n}: {line}" for (name, n), lines in ends for line in lines)

    def _ended(self) -> dict[Who, int]:
        return {who: code for who, one in self._processes.items() if (code := one.poll()) is not None}

    def _log(self, who: Who) -> Path:
        path = self.folder / f"{who[0]}-{who[1]}.log"
        path.touch()
        return path

    def stop(self) -> dict[Who, int]:
        """All that still run, by SIGTERM; gives every exit code."""
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
        codes = {}
        for who, process in self._processes.items():
            try:
                codes[who] = process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                codes[who] = process.wait()
        return codes


def _elsewhere(installation: Installation) -> Installation:
    """The same on other ports."""
    return replace(installation, addresses=Addresses("127.0.0.1", {name: free_port() for name in SERVICES}))
