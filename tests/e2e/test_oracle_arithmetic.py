"""With a policy that shifts, merges and caps nothing, a simulation equals arithmetic on the ledger's dates."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import yaml
from remit_testing.ledger_oracle import expected_steps, rows
from remit_testing.ledgers import random_ledger, write_ledger
from remit_testing.simulations import simulate
from remit_testing.two_years import SHARED, TWO_YEARS, needs_shared

UNMOVED = Path(__file__).parent / "policies" / "unmoved.yaml"


def arithmetic(
    ledger_path: Path, policy: Path, folder: Path
) -> tuple[set[tuple[str, str, date]], list[tuple[str, str, date]]]:
    offsets = {step["key"]: step["offset"] for step in yaml.safe_load(policy.read_text())["steps"]}
    sent = [
        (number, row["step"], datetime.fromisoformat(row["local_time"]).date())
        for row in rows(folder / "messages.csv")
        if row["stage"] in ("upcoming", "due", "overdue")
        for number in row["invoice_numbers"].split(";")
    ]
    return expected_steps(rows(ledger_path), offsets), sent


def test_unmoved_policy_equals_arithmetic_on_an_awkward_ledger(tmp_path: Path) -> None:
    # Everybody can be reached, and nobody is an individual, for whom the law has a cap of its own.
    ledger = [row | {"email": row["email"] or "ap@example.com", "profile": "business"} for row in random_ledger(4)[:80]]
    path = write_ledger(ledger, tmp_path / "ledger.csv")
    simulate(path, tmp_path / "out", "--policy", str(UNMOVED), "--ladder", "none")
    expected, sent = arithmetic(path, UNMOVED, tmp_path / "out")
    assert len(expected) > 150
    assert sorted(sent) == sorted(expected)


@needs_shared
def test_plain_policy_equals_arithmetic_on_the_two_year_file(tmp_path: Path, figure: Callable[[str], None]) -> None:
    policy = SHARED / "policies" / "plain.yaml"
    began = time.monotonic()
    simulate(TWO_YEARS, tmp_path, "--policy", str(policy), "--ladder", "none")
    figure(f"two years simulated with plain.yaml: {time.monotonic() - began:.0f} s")
    expected, sent = arithmetic(TWO_YEARS, policy, tmp_path)
    assert len(expected) > 2000
    assert sorted(sent) == sorted(expected)
