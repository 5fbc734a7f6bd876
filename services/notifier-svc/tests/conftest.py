from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from remit_testing.fixtures import MakeDatabase
from remit_testing.notifier import World

OpenWorld = Callable[..., Awaitable[World]]


@pytest_asyncio.fixture(loop_scope="session")
async def open_world(make_database: MakeDatabase, tmp_path: Path) -> AsyncIterator[OpenWorld]:
    """Opens worlds of their own databases; all are closed after the test."""
    worlds: list[World] = []

    async def opened(**settings: Any) -> World:
        worlds.append(await World.open(make_database, tmp_path / f"world-{len(worlds)}", **settings))
        return worlds[-1]

    yield opened
    for world in worlds:
        await world.close()


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def shared_world(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    opened = await World.open(make_database, tmp_path_factory.mktemp("world"))
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def world(shared_world: World) -> World:
    """In mailbox mode; one for all tests, as new for each."""
    await shared_world.reset()
    return shared_world
