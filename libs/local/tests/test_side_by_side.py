"""A ledger on several cores is what it is on one: who may be parted, and that the result is the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from remit_testing.ledger_rows import ROW

from remit_local import side_by_side
from remit_local.commands.simulating import write
from remit_local.errors import RefusedError
from remit_local.ledger import LedgerRow
from remit_local.simulation import Scenario, play, throwaway

ONE_CORE = side_by_side.cores()[:1]

people = st.sampled_from([None, "a@x.example", "A@X.example", "b@x.example", "c@x.example"])
rows = st.lists(
    st.builds(
        replace,
        st.just(ROW),
        customer_id=st.sampled_from("ABCDEFGH"),
        invoice_number=st.integers(0, 60).map(str),
        email=people,
        phone=st.sampled_from([None, "+49 30 1", "+49301", "+492"]),
    ),
    max_size=40,
).map(lambda made: [replace(row, line=line) for line, row in enumerate(made)])


@given(rows, st.integers(1, 4))
def test_every_row_is_in_one_share_and_nobody_who_shares_anything_is_parted(ledger: list[LedgerRow], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(side_by_side, "WORTH_A_SYSTEM", 1)
        parts = side_by_side.shares(ledger, most)
    assert len(parts) <= most
    assert sorted(row.line for part in parts for row in part) == [row.line for row in ledger]
    for part in parts:
        assert [row.line for row in part] == sorted(row.line for row in part)
    for of in (
        lambda row: row.customer_id,
        lambda row: row.invoice_number,
        lambda row: row.email and row.email.lower(),
        lambda row: row.phone and row.phone.replace(" ", ""),
    ):
        seen = [{of(row) for row in part} - {None} for part in parts]
        assert sum(map(len, seen)) == len(set().union(*seen))


def test_a_short_ledger_is_played_by_one_system() -> None:
    enough = side_by_side.WORTH_A_SYSTEM
    long = [replace(ROW, line=n, customer_id=str(n), invoice_number=str(n)) for n in range(2 * enough)]
    assert [len(part) for part in side_by_side.shares(long[:-1], 8)] == [len(long) - 1]
    assert [len(part) for part in side_by_side.shares(long, 8)] == [enough, enough]
    assert len(side_by_side.shares(long, 1)) == 1


def test_customers_whose_mornings_are_one_moment_are_played_together() -> None:
    zones = ("Europe/Berlin", "America/New_York", "Europe/Paris", "America/Toronto")
    spread = [
        replace(
            ROW,
            line=n,
            customer_id=str(n % 100),
            invoice_number=str(n),
            timezone=zones[n % len(zones)],
            issue_date=ROW.issue_date + timedelta(days=n),
            due_date=ROW.due_date + timedelta(days=n),
        )
        for n in range(2 * side_by_side.WORTH_A_SYSTEM)
    ]
    parts = side_by_side.shares(spread, 2)
    assert [{row.timezone for row in part} for part in parts] == [
        {"America/New_York", "America/Toronto"},
        {"Europe/Berlin", "Europe/Paris"},
    ]


def ledger() -> list[LedgerRow]:
    made = []
    for n in range(8):
        day = date(2026, 1, 5) + timedelta(days=n % 5)
        made.append(
            replace(
                ROW,
                line=n + 2,
                customer_id=f"C{n // 2}",
                customer_name=f"Customer {n // 2}",
                invoice_number=f"R{n}",
                email=f"ap{n // 2}@acme.example",
                issue_date=day,
                due_date=day + timedelta(days=14),
                paid_date=None if n % 3 == 0 else day + timedelta(days=10 + 4 * n),
            )
        )
    return made


def test_two_systems_write_the_files_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = Scenario(ledger(), until=date(2026, 3, 31))
    with throwaway(None) as (home, server):
        one = play(scenario, home, server, lambda _: None)
    monkeypatch.setattr(side_by_side, "WORTH_A_SYSTEM", 3)
    monkeypatch.setattr(side_by_side, "cores", lambda: ONE_CORE * 2)
    parts = side_by_side.shares(scenario.rows, 2)
    assert len(parts) == 2
    days: list[datetime] = []
    two = side_by_side.play(scenario, parts, days.append)
    assert days == sorted(days)
    assert days
    assert two.instants >= one.instants
    for name, simulated in (("one", one), ("two", two)):
        write(tmp_path / name, simulated, "ledger.csv")
    for file in ("messages.csv", "decisions.csv", "escalations.csv", "summary.json"):
        written = (tmp_path / "one" / file).read_bytes()
        assert (tmp_path / "two" / file).read_bytes() == written
        assert file == "escalations.csv" or written.count(b"\n") > 8


def test_what_one_refuses_is_raised() -> None:
    scenario = Scenario(ledger(), first=date(2030, 1, 1))
    paid = [row for row in scenario.rows if row.paid_date]
    with pytest.raises(RefusedError, match="nothing happens in this ledger"):
        side_by_side.play(scenario, [paid], lambda _: None)
