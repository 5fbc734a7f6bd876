"""The four services on one simulated clock in this process, driven by a test from moment to moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from remit_local.agenda import Agenda, Input
from remit_local.installation import Installation
from remit_local.system import System
from remit_local.timelapse import Timelapse
from remit_service.clock import SimulatedClock
from remit_testing.api import Api
from remit_testing.installations import KEY


class Nothing:
    """The test posts by itself."""

    async def post(self, inputs: Sequence[Input]) -> None:
        assert not inputs


@dataclass
class Lapse:
    system: System
    clock: SimulatedClock
    api: Api
    _timelapse: Timelapse

    async def settle(self) -> None:
        """Everything that follows from what was posted, at this very moment."""
        await self._timelapse.settle()

    async def until(self, moment: datetime) -> None:
        """Plays everything that falls due up to `moment`, which is then the present; checks that all is settled."""
        await self._timelapse.settle()
        await self._timelapse.play(Agenda(()), moment, _pass)
        self.clock.set(moment)
        await self._timelapse.settle()
        await self._timelapse.verify()


async def _pass(_at: datetime) -> None:
    return


@asynccontextmanager
async def lapse(installation: Installation, clock: SimulatedClock) -> AsyncIterator[Lapse]:
    """The APIs answer in this process, without a network; what notifier-svc sends really leaves it."""
    headers = {"Authorization": f"Bearer {KEY}"}
    system = await System.build(installation, clock, in_process=True)
    clients = {name: system.client(name, headers) for name in system.services}
    async with system, Api(clients) as api:
        found = Lapse(system, clock, api, Timelapse(system, clock, Nothing()))
        await found.settle()
        yield found
