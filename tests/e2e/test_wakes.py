"""Nothing on an event's way waits for a poll, in one process or in two that share the work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from remit_testing.fixtures import MakeDatabase
from remit_testing.installations import KEY, make_installation

from remit_local.system import System
from remit_service.clock import WallClock

HEADERS = {"Authorization": f"Bearer {KEY}"}
SETTLED_SECONDS = 3.0  # groups and relays have shared what there is
NEVER = 600.0
# Far more than it takes, far less than a poll.
PATIENCE = 5.0


@asynccontextmanager
async def replicas(make_database: MakeDatabase, folder: Path, number: int) -> AsyncIterator[list[System]]:
    """All four services that often, at work, whose tasks from now on only run when they are woken."""
    installation = await make_installation(make_database, folder)
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        made = [
            await stack.enter_async_context(await System.build(installation, WallClock(), in_process=True))
            for _ in range(number)
        ]
        working = asyncio.gather(*(system.run(stop) for system in made))
        try:
            await asyncio.sleep(SETTLED_SECONDS)
            for task in (task for system in made for task in system.tasks):
                task.poll = NEVER  # type: ignore[attr-defined]  # optional in the protocol
            await asyncio.sleep(SETTLED_SECONDS)  # those that wait already do so once more
            yield made
        finally:
            stop.set()
            await working


async def issue(invoices: httpx.AsyncClient, customer: str) -> str:
    due = (datetime.now(UTC) + timedelta(days=60)).date().isoformat()
    body = {"customer_external_id": customer, "due_date": due, "amount_minor": 1000, "currency": "EUR"}
    answer = await invoices.post("/v1/invoices", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def planned(scheduler: httpx.AsyncClient, invoice: str) -> None:
    give_up = time.monotonic() + PATIENCE
    while (await scheduler.get(f"/v1/follow-ups/{invoice}/plan")).status_code != 200:
        assert time.monotonic() < give_up, "its event waits for a poll"
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("number", [1, 2])
async def test_events_need_no_poll(
    make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory, number: int
) -> None:
    async with replicas(make_database, tmp_path_factory.mktemp("wakes"), number) as systems:
        for n in range(8):
            system = systems[n % number]
            async with (
                system.client("invoice-svc", HEADERS) as invoices,
                system.client("scheduler-svc", HEADERS) as plans,
            ):
                body = {"external_id": f"C-{n}", "name": "Alster Logistik GmbH", "profile": "business", "country": "DE"}
                assert (await invoices.post("/v1/customers", json=body)).status_code == 201
                await planned(plans, await issue(invoices, f"C-{n}"))
