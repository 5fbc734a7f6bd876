"""Hypothesis drives plain functions: they run in a thread of their own and call the services on the test's loop.

async def test_…():
    await in_thread(lambda ask: …)       # there, ask(coroutine) gives what the coroutine returns
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import HealthCheck, Phase, settings

Ask = Callable[[Coroutine[Any, Any, Any]], Any]


async def in_thread(work: Callable[[Ask], None]) -> None:
    loop = asyncio.get_running_loop()

    def ask(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    await asyncio.to_thread(work, ask)


def seeded(examples: int, **more: Any) -> settings:
    """So many examples of what the seed gives; nothing is remembered from other runs."""
    return settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        **{"phases": [Phase.generate]} | more,
    )
