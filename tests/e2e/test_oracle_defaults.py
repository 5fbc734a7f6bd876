"""A simulation's files against the ledger alone: the default policies, held to by a checker of its own."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest
from remit_testing.ledger_oracle import DEFAULTS, Checker, rows
from remit_testing.ledgers import random_ledger, write_ledger
from remit_testing.simulations import simulate
from remit_testing.two_years import TWO_YEARS, needs_shared


def last_day(folder: Path) -> date:
    return max(datetime.fromisoformat(row["at"]).date() for row in rows(folder / "decisions.csv"))


@needs_shared
def test_default_policies_keep_every_rule_on_the_two_year_file(tmp_path: Path) -> None:
    simulate(TWO_YEARS, tmp_path)
    checker = Checker(rows(TWO_YEARS), tmp_path, DEFAULTS, last_day(tmp_path))
    assert checker.run() == []
    assert checker.share_sent_or_merged() >= 0.95


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_default_policies_keep_every_rule_on_awkward_ledgers(tmp_path: Path, seed: int) -> None:
    ledger = random_ledger(seed)
    path = write_ledger(ledger, tmp_path / "ledger.csv")
    simulate(path, tmp_path / "out")
    checker = Checker(ledger, tmp_path / "out", DEFAULTS, last_day(tmp_path / "out"))
    assert checker.run() == []
    assert any(row["stage"] == "demand" for row in checker.messages), "the ledger was meant to escalate"


def test_the_same_input_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    path = write_ledger(random_ledger(9, customers=10, invoices=40), tmp_path / "ledger.csv")
    for name in ("one", "two"):
        simulate(path, tmp_path / name)
    for file in ("messages.csv", "decisions.csv", "escalations.csv"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
