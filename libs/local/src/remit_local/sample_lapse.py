"""Plays the sample's last 45 days through the real services, from where an earlier run stopped to this moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from remit_local.agenda import Agenda, Poster
from remit_local.bootstrap import ensure_key
from remit_local.errors import RefusedError
from remit_local.home import Home
from remit_local.installation import Installation
from remit_local.lapse_store import Lapse, LapseStore
from remit_local.sample import SELLER, sample_inputs
from remit_local.system import System
from remit_local.timelapse import Timelapse
from remit_service.clock import SimulatedClock, WallClock

ENOUGH = timedelta(seconds=2)  # so close to the present, the services go on by themselves

# Whatever the environment says: the past is played into the mailbox, and rungs follow their steps at once.
SETTINGS: dict[str, dict[str, Any]] = {
    "notifier-svc": {"delivery_mode": "mailbox"},
    "escalation-svc": {"rungs_settle_seconds": 0},
}

Passed = Callable[[datetime, datetime, datetime], None]


class _Stopped(Exception):  # noqa: N818 - the user said so
    """Ends the time-lapse between two instants; the next start goes on there."""


async def play_sample(installation: Installation, home: Home, passed: Passed, stop: asyncio.Event) -> None:
    """Plays what is left, up to now or until `stop`. `passed` is told (begin, instant, end) as it goes."""
    async with LapseStore(installation.local_database) as store:
        lapse = await store.begin(WallClock().now().date())
        if lapse.done:
            return
        try:
            await _play(installation.with_extras(SETTINGS), home, store, lapse, passed, stop)
        except _Stopped:
            return
        await store.finish()


async def _play(
    installation: Installation, home: Home, store: LapseStore, lapse: Lapse, passed: Passed, stop: asyncio.Event
) -> None:
    wall, agenda = WallClock(), Agenda(sample_inputs(lapse.first_start))
    begin = agenda.next_at() or wall.now()
    if lapse.instant:
        agenda.drop_before(lapse.instant)
    clock = SimulatedClock(lapse.instant or begin - timedelta(minutes=1))
    async with await System.build(installation, clock, in_process=True) as system:
        key = await ensure_key(system.services["invoice-svc"], home, SELLER)
        poster = Poster(system.client("invoice-svc", {"Authorization": f"Bearer {key}"}), repeatable=True)
        timelapse = Timelapse(system, clock, poster)
        # What happens at the instant it was stopped at may not have been posted; it comes before what follows from it.
        await timelapse.instant(agenda.take(clock.now()))

        async def entering(at: datetime) -> None:
            if stop.is_set():
                raise _Stopped
            await store.enter(at)
            passed(begin, at, wall.now())

        while wall.now() - clock.now() > ENOUGH:
            end = wall.now()
            await timelapse.play(agenda, end, entering)
            clock.set(end)
        if poster.refused:
            one, reason = poster.refused[0]
            raise RefusedError(f"the sample's {one.kind.name.lower()} {one.key} was refused: {reason}")
