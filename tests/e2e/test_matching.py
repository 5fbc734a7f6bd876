"""What a simulation says it sent is what its databases and mailbox hold; without the relay nothing matches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from remit_testing.ledgers import random_ledger, write_ledger
from remit_testing.matching import FOLLOW_UP, Kept, by_stage, faults
from remit_testing.simulations import simulate

from remit_events.relay import Relay
from remit_local import simulation
from remit_local.commands.simulating import write
from remit_local.ledger_csv import ReadOptions, read_ledger
from remit_local.postgres import EmbeddedPostgres
from remit_local.simulation import Scenario, throwaway
from remit_local.timelapse import NotSettledError, Timelapse

SEED = 4


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return write_ledger(random_ledger(SEED, customers=12, invoices=40), tmp_path / "ledger.csv")


@pytest.fixture
def small_ledger(tmp_path: Path) -> Path:
    return write_ledger(random_ledger(SEED, customers=6, invoices=10), tmp_path / "small.csv")


@pytest.fixture
def folder(open_folder: Path) -> Path:
    return open_folder / "kept"


async def test_every_row_has_its_event_its_inbox_row_and_its_rendered_delivery(
    ledger: Path, tmp_path: Path, folder: Path
) -> None:
    out = tmp_path / "out"
    simulate(ledger, out, "--keep", str(folder))
    with EmbeddedPostgres(folder / "postgres", durable=False) as server:
        kept = await Kept.read(server, folder / "mailbox")
    assert faults(out, kept) == []
    stages = by_stage(out)
    assert all(stages[stage] for stage in ("invoice", "upcoming", "overdue", "demand", "thanks")), stages
    assert sum(stages.values()) == len(kept.deliveries)
    drop_one_row(out / "messages.csv")
    assert len(faults(out, kept)) == 1, "a row that is missing is found"


async def test_without_the_relay_it_does_not_settle(
    small_ledger: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch_off(monkeypatch, "/scheduler-svc")
    with pytest.raises(NotSettledError, match="scheduler-svc outbox"):
        await play(small_ledger, folder)


async def test_without_the_relay_nothing_matches(
    small_ledger: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the time-lapse does not look: the steps that were due are in the outbox and nowhere else."""

    async def no_look(self: Timelapse) -> None:
        return

    switch_off(monkeypatch, "/scheduler-svc")
    monkeypatch.setattr(Timelapse, "verify", no_look)
    out = tmp_path / "out"
    out.mkdir()
    with played(folder) as (home, server):
        result = await simulation.simulate(scenario(small_ledger), home, server, lambda _: None)
        write(out, result, small_ledger.name)
        kept = await Kept.read(server, folder / "mailbox")
    [fault] = faults(out, kept)
    assert "never reached notifier-svc" in fault
    assert not any(by_stage(out)[stage] for stage in FOLLOW_UP)


def switch_off(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """The relay of one service publishes nothing; all others work."""
    publishes = Relay.run

    async def run(self: Relay) -> int:
        return 0 if self._source == source else await publishes(self)

    monkeypatch.setattr(Relay, "run", run)


async def play(ledger: Path, folder: Path) -> None:
    with played(folder) as (home, server):
        await simulation.simulate(scenario(ledger), home, server, lambda _: None)


@contextmanager
def played(folder: Path) -> Iterator[tuple[simulation.Home, EmbeddedPostgres]]:
    with throwaway(folder) as opened:
        yield opened


def scenario(ledger: Path) -> Scenario:
    return Scenario(rows=read_ledger(ledger, ReadOptions()).accepted)


def drop_one_row(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), encoding="utf-8")
