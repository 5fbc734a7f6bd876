"""The four services live: four servers and their background loops in this process, or a process for each."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import httpx

from remit_local import child
from remit_local.errors import RefusedError
from remit_local.home import SERVICES
from remit_local.installation import Installation, package_of
from remit_local.ports import Bound
from remit_local.system import System
from remit_service import serving

READY_SECONDS = 30.0
STOP_SECONDS = 40.0
# Between two lives of a process, doubled from one to the next; one that lived so long was well.
SHORTEST_PAUSE = 0.5
LONGEST_PAUSE = 10.0
WELL_SECONDS = 60.0

Ready = Callable[[], Coroutine[Any, Any, None]]


async def run_here(system: System, bound: Bound, stop: asyncio.Event, ready: Ready) -> None:
    """Serves and works in this process until `stop`, then drains."""
    jobs = [
        asyncio.create_task(serving.serve(service.app, bound[name], stop, grace=10))
        for name, service in system.services.items()
    ]
    jobs.append(asyncio.create_task(system.run(stop)))
    await _until_stopped(jobs, stop, ready)


async def run_apart(installation: Installation, folder: Path, stop: asyncio.Event, ready: Ready) -> None:
    """A process per service (`python -m invoice_svc run`) until `stop`; one that ends by itself is started again."""
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    jobs = [asyncio.create_task(_keep_running(installation, name, logs / f"{name}.log", stop)) for name in SERVICES]

    async def all_ready() -> None:
        await wait_ready(installation.addresses.urls())
        await ready()

    await _until_stopped(jobs, stop, all_ready)


async def wait_ready(urls: dict[str, str], seconds: float = READY_SECONDS) -> None:
    """Until every /readyz answers 200; raises RefusedError naming those that do not."""
    waiting = dict(urls)
    async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
        try:
            async with asyncio.timeout(seconds):
                while waiting:
                    for name in list(waiting):
                        if await _is_ready(client, waiting[name]):
                            del waiting[name]
                    await asyncio.sleep(0.1 if waiting else 0)
        except TimeoutError:
            raise RefusedError(f"not ready after {seconds:.0f} s: {', '.join(waiting)}; their logs say why") from None


async def _is_ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def _until_stopped(jobs: Sequence[asyncio.Task[None]], stop: asyncio.Event, ready: Ready) -> None:
    """Tells that all is ready, waits for `stop`, and sees every job to its end; a failure of any stops the others."""
    starting = asyncio.create_task(ready())
    stopping = asyncio.create_task(stop.wait())
    waiting: set[asyncio.Task[Any]] = {*jobs, starting, stopping}
    try:
        while not stop.is_set():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if done - {starting} or starting.exception():
                break
    finally:
        stop.set()
        for extra in (starting, stopping):
            extra.cancel()
        results = await asyncio.gather(*jobs, starting, stopping, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _keep_running(installation: Installation, name: str, log: Path, stop: asyncio.Event) -> None:
    pause = SHORTEST_PAUSE
    while not stop.is_set():
        started = time.monotonic()
        code = await _run_once(installation, name, log, stop)
        if stop.is_set():
            return
        if code == 2:
            raise RefusedError(f"{name} cannot work as configured; {log} says why")
        if time.monotonic() - started > WELL_SECONDS:
            pause = SHORTEST_PAUSE
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


async def _run_once(installation: Installation, name: str, log: Path, stop: asyncio.Event) -> int:
    """One life of a service's process; SIGTERM when `stop` is set, SIGKILL when it does not end by itself."""
    environment = os.environ | installation.environment(name)
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            child.__name__,
            str(os.getpid()),
            package_of(name),
            "run",
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a Ctrl-C reaches this process alone, which then ends its children in order
        )
        (log.parent / f"{name}.pid").write_text(str(process.pid))
        ended, stopping = asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                process.send_signal(signal.SIGTERM)
                _, late = await asyncio.wait([ended], timeout=STOP_SECONDS)
                if late:
                    process.kill()
            return await ended
        finally:
            stopping.cancel()
            if process.returncode is None:
                process.kill()
