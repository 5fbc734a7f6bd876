"""kill -9 at the points `remit_events.faults` names."""

from __future__ import annotations

import asyncio
import time

from remit_events import faults
from remit_testing.running import Running

EVERYWHERE = (faults.BEFORE_COMMIT, faults.AFTER_COMMIT, faults.AFTER_PUBLISH, faults.BEFORE_OFFSET)
SENDING = (faults.SENDING, faults.ANSWERED)
HIT_SECONDS = 60.0


async def killed_once(running: Running, service: str, point: str) -> None:
    """Waits until a process comes to the point and dies there, and starts it again."""
    running.arm(service, point)
    give_up = time.monotonic() + HIT_SECONDS
    while not running.hit():
        running.check()
        assert time.monotonic() < give_up, f"{service} never came to {point}\n{running.said()}"
        await asyncio.sleep(0.02)
    running.start(service, await running.killed())
