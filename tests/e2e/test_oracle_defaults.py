"""A simulation's files against the ledger alone: policies held to by a checker of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from remit_testing.ledger_oracle import Checker, rows
from remit_testing.ledger_places import DEFAULTS, rules_of
from remit_testing.ledgers import random_ledger, write_ledger
from remit_testing.simulations import simulate
from remit_testing.two_years import SHARED, TWO_YEARS, needs_shared

NARROW = Path(__file__).parent / "policies" / "narrow.yaml"
STRICT = SHARED / "policies" / "strict.yaml"


@needs_shared
def test_default_policies_keep_every_rule_on_the_two_year_file(tmp_path: Path, figure: Callable[[str], None]) -> None:
    began = time.monotonic()
    simulate(TWO_YEARS, tmp_path)
    figure(f"two years simulated with the default policies: {time.monotonic() - began:.0f} s")
    checker = Checker(rows(TWO_YEARS), tmp_path, DEFAULTS)
    assert checker.run() == []
    assert checker.share_sent_or_merged() >= 0.95


@pytest.mark.parametrize("seed", [1, 3])
def test_default_policies_keep_every_rule_on_awkward_ledgers(tmp_path: Path, seed: int) -> None:
    ledger = random_ledger(seed)
    path = write_ledger(ledger, tmp_path / "ledger.csv")
    simulate(path, tmp_path / "out")
    checker = Checker(ledger, tmp_path / "out", DEFAULTS)
    assert checker.run() == []
    assert any(row["stage"] == "demand" for row in checker.messages), "the ledger was meant to escalate"
    assert {"sent", "merged", "suppressed", "deferred"} <= {row["outcome"] for row in checker.decisions}


@pytest.mark.parametrize(
    ("policy", "invoices"), [(NARROW, 80), pytest.param(STRICT, 40, marks=needs_shared)], ids=["narrow", "strict"]
)
def test_a_policy_with_everything_on_keeps_its_rules(tmp_path: Path, policy: Path, invoices: int) -> None:
    ledger = random_ledger(6, customers=12, invoices=invoices)
    path = write_ledger(ledger, tmp_path / "ledger.csv")
    simulate(path, tmp_path / "out", "--policy", str(policy))
    checker = Checker(ledger, tmp_path / "out", dict.fromkeys(DEFAULTS, rules_of(policy)))
    assert checker.run() == []
    if policy == NARROW:
        assert {"minimum-gap", "below-minimum"} <= {row["rule"] for row in checker.decisions}


def test_the_same_input_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    path = write_ledger(random_ledger(9, customers=10, invoices=40), tmp_path / "ledger.csv")
    for name in ("one", "two"):
        simulate(path, tmp_path / name)
    for file in ("messages.csv", "decisions.csv", "escalations.csv"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
