"""A simulation: the very same four services on a throwaway database and mailbox, under a clock that jumps."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvloop

from escalation_svc.ladder_format import LadderBody
from remit_local.agenda import Agenda, Input, Poster
from remit_local.bootstrap import ensure_key
from remit_local.client import readable
from remit_local.errors import RefusedError
from remit_local.harvest import Harvest, harvest
from remit_local.home import Addresses, Home
from remit_local.installation import Installation
from remit_local.ledger import LedgerRow
from remit_local.ledger_agenda import ends, entered_from, inputs
from remit_local.postgres import EmbeddedPostgres
from remit_local.system import System, prepare
from remit_local.timelapse import Timelapse
from remit_service.clock import SimulatedClock
from scheduler_svc.policy import Policy

# What a process needs to run at all; every setting of Remit and of its providers is left behind.
KEPT_VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "TERM", "COLUMNS", "LINES", "NO_COLOR")
KEPT_PREFIXES = ("LC_", "PYTHON", "XDG_", "VIRTUAL_ENV", "COVERAGE_")

SELLER = {
    "name": "Simulated Seller",
    "sender_email": "billing@seller.example",
    "reply_to": "accounts@seller.example",
    "iban": "DE02120300000000202051",
    "payment_link": "https://pay.seller.example/i",
}

Passed = Callable[[datetime], None]


@dataclass(frozen=True)
class Scenario:
    """What is simulated. `ladder` None: the shipped one; with `escalate` False nobody is escalated."""

    rows: list[LedgerRow]
    first: date | None = None
    until: date | None = None
    policy: Policy | None = None
    ladder: tuple[str, LadderBody] | None = None
    escalate: bool = True
    approve: bool = True

    def entered(self) -> list[LedgerRow]:
        """The rows something happens to."""
        return entered_from(self.rows, self.first) if self.first else self.rows

    def agenda(self) -> Agenda:
        return Agenda(inputs(self.entered(), self.first))

    def settings(self) -> dict[str, dict[str, Any]]:
        """What the services are told beyond where everything is."""
        ladder = (self.ladder[0] if self.ladder else "default") if self.escalate else "none"
        approve = "auto" if self.approve else "never"
        return {
            "notifier-svc": {"delivery_mode": "mailbox"},
            "escalation-svc": {
                "approve": approve,
                "approve_as": "simulation",
                "ladder_default": ladder,
                "rungs_settle_seconds": 0,
            },
        }


@dataclass(frozen=True)
class Simulated:
    """What came of it: everything the output files say, the last moment played, what was refused, how many instants."""

    harvest: Harvest
    ended: datetime
    refused: list[tuple[Input, str]]
    instants: int


def play(scenario: Scenario, home: Home, server: EmbeddedPostgres, passed: Passed) -> Simulated:
    """`simulate` on an event loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(simulate(scenario, home, server, passed))


async def simulate(scenario: Scenario, home: Home, server: EmbeddedPostgres, passed: Passed) -> Simulated:
    """Plays the scenario on the databases in `server`. Raises RefusedError and NotSettledError."""
    installation = Installation.on(
        server,
        addresses=Addresses.from_environment(),
        service_key=secrets.token_urlsafe(32),
        mailbox=home.mailbox,
    ).with_extras(scenario.settings())
    await prepare(installation, server)
    agenda = scenario.agenda()
    start = agenda.next_at()
    if start is None:
        raise RefusedError("nothing happens in this ledger from that day on: there is no invoice to follow")
    clock = SimulatedClock(start - timedelta(minutes=1))
    until = ends(scenario.until) if scenario.until else None
    async with await System.build(installation, clock, in_process=True) as system:
        key = await ensure_key(system.services["invoice-svc"], home, SELLER)
        headers = {"Authorization": f"Bearer {key}"}
        poster = Poster(system.client("invoice-svc", headers))
        timelapse = Timelapse(system, clock, poster)
        await timelapse.settle()
        await _save_rules(system, headers, scenario)

        async def entering(at: datetime) -> None:
            passed(at)

        # What is loaded by now stays, and little of what comes forms cycles: the collector may look less often.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        await timelapse.play(agenda, until, entering)
        return Simulated(await harvest(system, headers), clock.now(), poster.refused, timelapse.instants)


async def _save_rules(system: System, headers: dict[str, str], scenario: Scenario) -> None:
    """The policy of every customer, and the ladder, before anything happens."""
    if scenario.policy:
        path = f"/v1/policies/{scenario.policy.key}/versions"
        await _save(system.client("scheduler-svc", headers), path, scenario.policy.as_body())
    if scenario.ladder:
        key, body = scenario.ladder
        path = f"/v1/ladders/{key}/versions"
        await _save(system.client("escalation-svc", headers), path, body.json_body())


async def _save(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    async with client:
        answer = await client.post(path, json=body, params={"assign_all": "true"})
        if not answer.is_success:
            raise RefusedError(f"{path}: {readable(answer.json())}")


@contextmanager
def throwaway(keep: Path | None) -> Iterator[tuple[Home, EmbeddedPostgres]]:
    """A fresh data folder with a running server and an environment without settings; gone afterwards unless kept."""
    with _scrubbed_environment():
        if keep is not None:
            if keep.exists() and any(keep.iterdir()):
                raise RefusedError(f"{keep} is not empty: name a new folder with --keep")
            yield from _opened(Home(keep).make())
            return
        with tempfile.TemporaryDirectory(prefix="remit-simulation-", ignore_cleanup_errors=True) as folder:
            Path(folder).chmod(0o755)  # a server started by root runs as another user
            yield from _opened(Home(Path(folder) / "data").make())


def _opened(home: Home) -> Iterator[tuple[Home, EmbeddedPostgres]]:
    with EmbeddedPostgres(home.postgres, durable=False) as server:
        yield home, server


@contextmanager
def _scrubbed_environment() -> Iterator[None]:
    """Nothing of Remit's configuration reaches a simulation: no provider, database or bus by accident."""
    before = dict(os.environ)
    for name in before:
        if name not in KEPT_VARIABLES and not name.startswith(KEPT_PREFIXES):
            del os.environ[name]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
