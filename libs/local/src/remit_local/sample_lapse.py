"""Plays the sample's last 45 days through the real services, from where an earlier run stopped to this moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from remit_local.agenda import Agenda, Poster
from remit_local.bootstrap import ensure_key
from remit_local.home import Home
from remit_local.installation import Installation
from remit_local.lapse_store import LapseStore
from remit_local.sample import SELLER, sample_inputs
from remit_local.system import System
from remit_local.timelapse import Timelapse
from remit_service.clock import SimulatedClock, WallClock

ENOUGH = timedelta(seconds=2)  # so close to the present, the services go on by themselves


async def play_sample(
    installation: Installation, home: Home, passed: Callable[[datetime, datetime, datetime], None]
) -> bool:
    """Plays what is left; False when there was nothing left. `passed` is told (begin, instant, end) as it goes."""
    wall = WallClock()
    async with LapseStore(installation.local_database) as store:
        lapse = await store.begin(wall.now().date())
        if lapse.done:
            return False
        agenda = Agenda(sample_inputs(lapse.first_start))
        begin = agenda.next_at() or wall.now()
        if lapse.instant:
            agenda.drop_before(lapse.instant)
        clock = SimulatedClock(lapse.instant or begin)
        system = await System.build(installation, clock, in_process=True)
        async with system:
            key = await ensure_key(system.services["invoice-svc"], home, SELLER)
            poster = Poster(system.client("invoice-svc", {"Authorization": f"Bearer {key}"}), repeatable=True)
            timelapse = Timelapse(system, clock, poster)

            async def entering(at: datetime) -> None:
                await store.enter(at)
                passed(begin, at, wall.now())

            while wall.now() - clock.now() > ENOUGH:
                end = wall.now()
                await timelapse.play(agenda, end, entering)
                clock.set(end)
            await store.finish()
    return True
