"""A simulation's files against the ledger alone: policies held to by a checker of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

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


def test_default_policies_keep_every_rule_on_an_awkward_ledger(tmp_path: Path) -> None:
    ledger = random_ledger(1)
    path = write_ledger(ledger, tmp_path / "ledger.csv")
    simulate(path, tmp_path / "out")
    checker = Checker(ledger, tmp_path / "out", DEFAULTS)
    assert checker.run() == []
    assert any(row["stage"] == "demand" for row in checker.messages), "the ledger was meant to escalate"
    assert {"sent", "merged", "suppressed", "deferred"} <= {row["outcome"] for row in checker.decisions}


def test_a_narrow_policy_keeps_its_rules_and_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    checker = with_everything_on(tmp_path, NARROW, invoices=80)
    assert {"minimum-gap", "below-minimum"} <= {row["rule"] for row in checker.decisions}
    simulate(tmp_path / "ledger.csv", tmp_path / "again", "--policy", str(NARROW))
    for file in ("messages.csv", "decisions.csv", "escalations.csv"):
        assert (tmp_path / "out" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


@needs_shared
def test_a_strict_policy_keeps_its_rules(tmp_path: Path) -> None:
    with_everything_on(tmp_path, STRICT, invoices=40)


def with_everything_on(folder: Path, policy: Path, invoices: int) -> Checker:
    ledger = random_ledger(6, customers=12, invoices=invoices)
    path = write_ledger(ledger, folder / "ledger.csv")
    simulate(path, folder / "out", "--policy", str(policy))
    checker = Checker(ledger, folder / "out", dict.fromkeys(DEFAULTS, rules_of(policy)))
    assert checker.run() == []
    return checker
