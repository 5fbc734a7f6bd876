"""The four services live in this process: real HTTP by uvicorn, background loops, wall clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from remit_local.installation import Installation
from remit_local.live import run_here
from remit_local.ports import claimed_ports
from remit_local.system import System
from remit_service.clock import WallClock


@asynccontextmanager
async def live(system: System) -> AsyncIterator[System]:
    """Serves and works until the block ends, then drains; what broke a loop is raised."""
    stop, up = asyncio.Event(), asyncio.Event()

    async def ready() -> None:
        up.set()

    with claimed_ports(system.installation.addresses) as bound:
        async with system:
            running = asyncio.create_task(run_here(system, bound, stop, ready))
            try:
                await up.wait()
                yield system
            finally:
                stop.set()
                await running


async def built(installation: Installation) -> System:
    return await System.build(installation, WallClock(), in_process=False)
