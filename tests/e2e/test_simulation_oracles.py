"""A simulation's files against the ledger alone: arithmetic for a plain policy, a checker for the default ones."""

from __future__ import annotations

import os
from datetime import date, datetime
from pathlib import Path

import pytest
import yaml
from remit_testing.ledger_oracle import DEFAULTS, Checker, expected_steps, rows
from remit_testing.ledgers import random_ledger, write_ledger
from remit_testing.simulations import simulate

SHARED = Path(os.environ.get("REMIT_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
TWO_YEARS = SHARED / "receivables-2012-2013.csv"
needs_shared = pytest.mark.skipif(not TWO_YEARS.exists(), reason=f"{TWO_YEARS} is not here")


def last_day(folder: Path) -> date:
    return max(datetime.fromisoformat(row["at"]).date() for row in rows(folder / "decisions.csv"))


def arithmetic(
    ledger_path: Path, policy: Path, folder: Path
) -> tuple[set[tuple[str, str, date]], set[tuple[str, str, date]]]:
    ledger = rows(ledger_path)
    offsets = {step["key"]: step["offset"] for step in yaml.safe_load(policy.read_text())["steps"]}
    expected = expected_steps(ledger, offsets, date.max)
    sent = {
        (number, row["step"], datetime.fromisoformat(row["local_time"]).date())
        for row in rows(folder / "messages.csv")
        if row["stage"] in ("upcoming", "due", "overdue")
        for number in row["invoice_numbers"].split(";")
    }
    return expected, sent


@needs_shared
def test_plain_policy_equals_arithmetic_on_the_two_year_file(tmp_path: Path) -> None:
    policy = SHARED / "policies" / "plain.yaml"
    simulate(TWO_YEARS, tmp_path, "--policy", str(policy), "--ladder", "none")
    expected, sent = arithmetic(TWO_YEARS, policy, tmp_path)
    assert len(expected) > 2000
    assert sent == expected


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
