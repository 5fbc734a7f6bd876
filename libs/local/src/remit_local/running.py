"""What `remit run` does, from an empty folder to a running system, and again after every stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from remit_local.bootstrap import ensure_key
from remit_local.bus_choice import allow_move, remember_bus, with_topic_prefix
from remit_local.home import KIND, SERVICES, Addresses, Home
from remit_local.installation import Installation
from remit_local.keeping import keep_running
from remit_local.live import run_apart, run_here
from remit_local.ports import Bound
from remit_local.postgres import EmbeddedPostgres
from remit_local.sample_lapse import play_sample
from remit_local.system import System, prepare
from remit_service import serving
from remit_service.clock import WallClock
from remit_service.commands import what_stays_left_alone

OWN_SELLER = {"name": "Your company", "country": "DE", "language": "en"}
"""Of an installation without the sample, until `remit seller set` says more."""

RUNNING = "running"
COME_THROUGH_SECONDS = 20.0


@dataclass(frozen=True)
class Plan:
    """What to run: with the sample or without (what a folder was begun with stays), in one process or four."""

    addresses: Addresses
    sample: bool
    processes: bool = False


@dataclass(frozen=True)
class Told:
    """How the user hears of it, and says what is to be loaded.

    `passed` (begin, instant, end) is called while the sample plays, `load` once all is up, `ready` when what was
    loaded has come through.
    """

    passed: Callable[[datetime, datetime, datetime], None]
    load: Callable[[], None]
    ready: Callable[[], None]


async def run(plan: Plan, home: Home, server: EmbeddedPostgres, bound: Bound, told: Told) -> None:
    """Runs on the sockets in `bound` until SIGTERM or SIGINT. Raises RefusedError when it cannot work as configured."""
    stop = asyncio.Event()
    with serving.stopped_by_signals(stop):
        installation = await installed(plan.addresses, home, server)
        for service in SERVICES:
            installation.settings(service)  # what is wrong in the environment is said before anything happens
        await prepare(installation, server)
        if home.note(KIND) is None:
            home.remember(KIND, {"sample": plan.sample})
        await _first_things(installation, home, told, stop)
        if not stop.is_set():
            keeping = asyncio.create_task(keep_running(server, stop))
            try:
                await _live(plan, installation, home, bound, told, stop)
            finally:
                stop.set()
                await keeping


async def installed(addresses: Addresses, home: Home, server: EmbeddedPostgres) -> Installation:
    """The installation in a data folder; its bus by EVENTS_URL, else in its own database."""
    installation = Installation.on(
        server,
        addresses=addresses,
        service_key=os.environ.get("SERVICE_KEY") or home.secret("service-key"),
        mailbox=Path(os.environ.get("MAILBOX_FOLDER") or home.mailbox),
        events_url=os.environ.get("EVENTS_URL") or None,
    )
    installation = await with_topic_prefix(installation, home)
    await allow_move(installation, home)
    return installation


async def _first_things(installation: Installation, home: Home, told: Told, stop: asyncio.Event) -> None:
    """The sample's past, or at least a seller with a key; nothing on a later start."""
    if home.note(KIND)["sample"]:
        await play_sample(installation, home, told.passed, stop)
        return
    system = await System.build(installation, WallClock(), in_process=True)
    async with system:
        await ensure_key(system.services["invoice-svc"], home, OWN_SELLER)
        await system.pass_on()  # so that all four know the key before the first request comes


async def _live(
    plan: Plan,
    installation: Installation,
    home: Home,
    bound: Bound,
    told: Told,
    stop: asyncio.Event,
) -> None:
    system = await System.build(installation, WallClock(), in_process=False)
    resting = contextlib.ExitStack()

    async def ready() -> None:
        home.remember(RUNNING, {"urls": plan.addresses.urls(), "pid": os.getpid()})
        await asyncio.to_thread(told.load)
        await _come_through(system)
        resting.enter_context(what_stays_left_alone())
        await asyncio.to_thread(told.ready)

    remember_bus(system, home, settled=False)
    if plan.processes:
        for one in bound.values():
            one.close()
        try:
            await run_apart(installation, home.folder, stop, ready)
            remember_bus(system, home, settled=not await system.unsettled())
        finally:
            await system.close()
        return
    async with system:
        with resting:
            await run_here(system, bound, stop, ready)
        remember_bus(system, home, settled=not await system.unsettled())


async def _come_through(system: System) -> None:
    """Until no event is on its way and nothing is due, seen twice in a row; not for ever."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(COME_THROUGH_SECONDS):
            quiet = 0
            while quiet < 2:
                quiet = 0 if await system.unsettled() or await system.due() else quiet + 1
                await asyncio.sleep(0.1)
