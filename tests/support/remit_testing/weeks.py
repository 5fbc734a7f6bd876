"""Some weeks of a seller's business with four services in this process, whose clocks may be off, hour by hour.

async with weeks(make_database, folder, off={"scheduler-svc": timedelta(minutes=-60)}) as on:
    await on.play(days=21)                 # whoever pays, pays on their day at noon
    await on.away(timedelta(days=3))       # nothing runs meanwhile
    on.mails, await on.decisions()
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from remit_events.bus import open_bus
from remit_local.home import SERVICES
from remit_local.installation import Installation, package_of
from remit_local.system import System
from remit_local.timelapse import Timelapse
from remit_service.clock import Clock, SimulatedClock
from remit_testing.api import Api
from remit_testing.fixtures import MakeDatabase
from remit_testing.installations import KEY, SELLER, make_installation
from remit_testing.lapse import Nothing
from remit_testing.smtp_peer import SmtpPeer

# A Monday morning in the zone of the customers, which is UTC.
BEGINS = datetime(2026, 3, 2, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
WAKING = range(5, 21)
AMOUNT_MINOR = 30_000


@dataclass(frozen=True)
class OffClock:
    """A host's clock that is off."""

    right: Clock
    off: timedelta

    def now(self) -> datetime:
        return self.right.now() + self.off


@dataclass
class Weeks:
    """`pays`: per invoice number the days on which a third of it is paid."""

    api: Api
    peer: SmtpPeer
    clock: SimulatedClock
    pays: dict[str, list[date]]
    hours: Sequence[int]
    _timelapse: Timelapse

    @property
    def mails(self) -> Counter[tuple[str, str]]:
        """How often each recipient got each subject."""
        return Counter((one.recipients[0], one.subject) for one in self.peer.ledger)

    async def decisions(self) -> dict[str, list[tuple[str, str, str]]]:
        """Per invoice number step, outcome and rule of what was decided for good, oldest first."""
        found: dict[str, list[tuple[str, str, str]]] = {number: [] for number in self.pays}
        for one in await self.api.all("scheduler-svc", "/v1/decisions"):
            if one["outcome"] != "deferred":
                found[one["invoice_number"]].append((one["step"], one["outcome"], one["rule"]))
        return {number: sorted(ends) for number, ends in found.items()}

    async def play(self, *, days: int) -> None:
        """Hour by hour, at those hours of the day at which something is looked at."""
        until = self.clock.now() + timedelta(days=days)
        while self.clock.now() < until:
            self.clock.set(self.clock.now() + HOUR)
            if self.clock.now().hour in self.hours:
                if self.clock.now().hour == 12:
                    await self._pay(self.clock.now().date())
                await self._timelapse.settle()

    async def away(self, span: timedelta) -> None:
        """Nothing runs for so long; then everything does. What was paid meanwhile is told first."""
        begins = self.clock.now().date()
        self.clock.set(self.clock.now() + span)
        for n in range((self.clock.now().date() - begins).days + 1):
            await self._pay(begins + timedelta(days=n))
        await self._timelapse.settle()

    async def _pay(self, day: date) -> None:
        for number, days in self.pays.items():
            if day in days:
                days.remove(day)
                body = {"invoice_number": number, "amount_minor": AMOUNT_MINOR // 3, "currency": "EUR"}
                reference = {"reference": f"{number} {day}", "received_on": day.isoformat()}
                await self.api.post("invoice-svc", "/v1/payments", body | reference)


@asynccontextmanager
async def weeks(
    make_database: MakeDatabase,
    folder: Path,
    chance: random.Random,
    *,
    customers: int = 8,
    zones: Sequence[str] = ("UTC",),
    profile: str = "business",
    hours: Sequence[int] = WAKING,
    off: Mapping[str, timedelta] | None = None,
) -> AsyncIterator[Weeks]:
    """`customers` at these zones in turn; `off`: by how much the clock of a service's host is off."""
    clock = SimulatedClock(BEGINS)
    with SmtpPeer() as peer:
        installation = await make_installation(
            make_database, folder, extras={"notifier-svc": peer.settings}, seller={"thank_you": False}, clock=clock
        )
        system = await _system(installation, clock, off or {})
        clients = {name: system.client(name, {"Authorization": f"Bearer {KEY}"}) for name in system.services}
        async with system, Api(clients) as api:
            on = Weeks(api, peer, clock, _payments(chance, customers), hours, Timelapse(system, clock, Nothing()))
            await on._timelapse.settle()
            live = {"on": True, "seller_name": SELLER["name"], "by": "Mara Lind"}
            await api.put("notifier-svc", "/v1/live-mode", live)
            await _post(api, chance, on.pays, zones, profile)
            await on._timelapse.settle()
            yield on


async def _system(installation: Installation, clock: SimulatedClock, off: Mapping[str, timedelta]) -> System:
    """As System.build, with a clock for each service."""
    bus = open_bus(installation.events_url)
    system = System(installation, clock, bus)
    for name in SERVICES:
        build = import_module(f"{package_of(name)}.app").build
        own = OffClock(clock, off.get(name, timedelta()))
        http = system._peers(name)
        system.services[name] = await build(installation.settings(name), clock=own, bus=bus, http=http)
    return system


def _payments(chance: random.Random, customers: int) -> dict[str, list[date]]:
    """A third of the invoices is never paid; the others in one to three parts, on any day of four weeks."""
    numbers = [f"R-{customer}-{n}" for customer in range(customers) for n in range(2)]
    days = [BEGINS.date() + timedelta(days=n) for n in range(1, 28)]
    return {number: sorted(chance.sample(days, chance.choice((0, 0, 1, 2, 3, 3)))) for number in numbers}


async def _post(
    api: Api, chance: random.Random, numbers: Mapping[str, Any], zones: Sequence[str], profile: str
) -> None:
    """Two invoices for each customer, due around the beginning."""
    keys = sorted({number.rpartition("-")[0] for number in numbers})
    customers = [
        {"external_id": key, "name": f"Customer {key}", "email": f"{key.lower()}@customers.example"}
        | {"profile": profile, "country": "DE", "timezone": zone}
        for key, zone in zip(keys, itertools.cycle(zones), strict=False)
    ]
    await api.post("invoice-svc", "/v1/customers/batch", {"customers": customers})
    invoices = []
    for number in numbers:
        due = BEGINS.date() + timedelta(days=chance.randint(-6, 6))
        body: dict[str, Any] = {"customer_external_id": number.rpartition("-")[0], "number": number}
        body |= {"issue_date": (due - timedelta(days=10)).isoformat(), "due_date": due.isoformat()}
        invoices.append(body | {"amount_minor": AMOUNT_MINOR, "currency": "EUR"})
    answer = await api.post("invoice-svc", "/v1/invoices/batch", {"invoices": invoices})
    refused = [one["problem"] for one in answer["results"] if one.get("problem")]
    assert not refused, refused
