"""With a policy that shifts, merges and caps nothing, a simulation equals arithmetic on the ledger's dates."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import yaml
from remit_testing.ledger_oracle import expected_steps, rows
from remit_testing.simulations import simulate
from remit_testing.two_years import SHARED, TWO_YEARS, needs_shared


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
