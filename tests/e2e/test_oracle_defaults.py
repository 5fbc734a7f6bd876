"""A simulation's files against the ledger alone: policies held to by a checker of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from remit_testing.ledger_oracle import Checker, rows
from remit_testing.ledger_places import DEFAULTS, rules_of
from remit_testing.ledgers import random_ledger, write_ledger
from remit_testing.simulations import simulate
from remit_testing.two_years import SHARED, TWO_YEARS, needs_shared

NARROW = Path(__file__).parent / "policies" / "narrow.yaml"
STRICT = SHARED / "policies" / "strict.yaml"
FROM = date(2025, 10, 6)


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


def test_a_ledger_followed_from_a_day_on_keeps_every_rule(tmp_path: Path) -> None:
    """What is older enters on that day: overdue as old debt, far overdue for review, and nothing is caught up with."""
    ledger = random_ledger(8, customers=12, invoices=45)
    simulate(write_ledger(ledger, tmp_path / "ledger.csv"), tmp_path / "out", "--from", FROM.isoformat())
    checker = Checker(ledger, tmp_path / "out", DEFAULTS, FROM)
    assert checker.run() == []
    assert len(checker.ledger) < len(ledger)
    assert {"old-debt", "before-entry", "review", "sent"} <= {row["rule"] for row in checker.decisions}
    assert min(row["local_time"] for row in checker.messages) >= FROM.isoformat()


def test_a_narrow_policy_keeps_its_rules_and_up_to_a_day_it_gives_the_same_bytes(tmp_path: Path) -> None:
    checker = with_everything_on(tmp_path, NARROW, invoices=80)
    assert {"minimum-gap", "below-minimum"} <= {row["rule"] for row in checker.decisions}
    simulate(tmp_path / "ledger.csv", tmp_path / "part", "--policy", str(NARROW), "--until", "2025-11-30")
    for file in ("messages.csv", "decisions.csv", "escalations.csv"):
        whole, part = ((tmp_path / one / file).read_text(encoding="utf-8") for one in ("out", "part"))
        assert whole.startswith(part)
        ended = whole[len(part) :].splitlines()[0]
        assert ended[:10] > "2025-11-30", "something that happened until then is missing"


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
