"""A small ledger through the four real services: what happens when, and that nothing is left unsettled."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest
import uvloop
from remit_testing.ledger_rows import ROW

from remit_events.relay import Relay
from remit_local.agenda import Agenda, Poster
from remit_local.bootstrap import ensure_key
from remit_local.commands.simulating import write
from remit_local.harvest import Harvest, harvest
from remit_local.home import Addresses, Home
from remit_local.installation import Installation
from remit_local.ledger_agenda import inputs
from remit_local.postgres import EmbeddedPostgres
from remit_local.simulation import SELLER, Scenario, Simulated, play, throwaway
from remit_local.system import System, prepare
from remit_local.timelapse import NotSettledError, Timelapse
from remit_service.clock import SimulatedClock
from scheduler_svc.policy import Policy

BASE = replace(ROW, profile="business", email="ap@acme.example", language="de")
LEDGER = [
    replace(BASE, paid_date=date(2026, 2, 20)),
    replace(
        BASE, line=3, invoice_number="R2", customer_id="C2", customer_name="Same Day Ltd", paid_date=date(2026, 1, 5)
    ),
    replace(BASE, line=4, invoice_number="R3", customer_id="C3", customer_name="Disputed Ltd", disputed=True),
    replace(BASE, line=5, invoice_number="R4", customer_id="C4", customer_name="No Due Date Ltd", due_date=None),
    replace(BASE, line=6, invoice_number="R5", customer_id="C5", customer_name="Never Pays Ltd"),
]
PLAIN = Policy.model_validate(
    {
        "key": "plain",
        "steps": [
            {"key": "before", "offset": -7, "tone": "friendly", "channels": ["email"]},
            {"key": "after", "offset": 7, "tone": "neutral", "channels": ["email"]},
        ],
        "window": {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "09:00", "to": "17:00"},
        "consolidate": False,
        "minimum_gap_days": 0,
        "contact_cap": None,
    }
)


def played(scenario: Scenario, passed: Callable[[datetime], None] = lambda _: None) -> Simulated:
    with throwaway(None) as (home, server):
        return play(scenario, home, server, passed)


@pytest.fixture(scope="module")
def default() -> Simulated:
    """The ledger under the shipped policies and ladder, in an environment full of traps."""
    traps = {
        "DATABASE_URL": "postgresql://nobody@192.0.2.1/x",
        "EVENTS_URL": "kafka://192.0.2.1:9092",
        "DELIVERY_MODE": "live",
        "SMTP_HOST": "192.0.2.1",
        "APPROVE": "never",
    }
    with pytest.MonkeyPatch.context() as patched:
        for name, value in traps.items():
            patched.setenv(name, value)
        result = played(Scenario(LEDGER))
        assert all(os.environ[name] == value for name, value in traps.items())
    return result


def sent(found: Harvest, number: str) -> list[tuple[str, str]]:
    """(local time, step) of every message about one invoice."""
    about = [m for m in found.messages if number in m.invoice_numbers]
    return sorted((f"{m.local_time:%m-%d %H:%M}", m.step) for m in about)


def test_invoices_leave_at_eight_reminders_at_nine_thanks_at_midnight(default: Simulated) -> None:
    assert default.refused == []
    assert sent(default.harvest, "R1") == [
        ("01-05 08:00", "invoice"),
        ("01-28 09:00", "courtesy"),
        ("02-03 09:00", "tomorrow"),
        ("02-05 09:00", "day-after"),
        ("02-11 09:00", "second"),
        ("02-18 09:00", "third"),
        ("02-20 00:00", "thanks"),
    ]


def test_paid_on_the_day_of_issue_gets_invoice_and_thanks(default: Simulated) -> None:
    assert sent(default.harvest, "R2") == [("01-05 08:00", "invoice"), ("01-05 08:00", "thanks")]


def test_disputed_and_undated_invoices_are_left_alone_with_a_reason(default: Simulated) -> None:
    assert [step for _, step in sent(default.harvest, "R3")] == ["invoice"]
    assert [step for _, step in sent(default.harvest, "R4")] == ["invoice"]
    rules = {(d.invoice_number, d.rule) for d in default.harvest.decisions if d.outcome != "sent"}
    assert {("R3", "disputed"), ("R4", "no-due-date")} <= rules


def test_who_never_pays_climbs_the_ladder(default: Simulated) -> None:
    rungs = [r for r in default.harvest.rungs if r.invoice_number == "R5"]
    assert [r.rung for r in rungs[:2]] == ["account-manager", "formal-demand"]
    demand = rungs[1]
    assert (demand.approved_by, demand.reminders_sent >= 3, demand.balance_minor) == ("simulation", True, 11900)
    assert any(m.stage == "demand" for m in default.harvest.messages)
    steps = [(d.invoice_number, d.step) for d in default.harvest.decisions if d.outcome != "deferred"]
    assert len(steps) == len(set(steps))


def test_the_files_are_written(default: Simulated, tmp_path: Path) -> None:
    write(tmp_path, default, "ledger.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "chart.html",
        "decisions.csv",
        "escalations.csv",
        "messages.csv",
        "summary.json",
    ]
    with (tmp_path / "messages.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(default.harvest.messages)
    assert [row["sent_at"] for row in rows] == sorted(row["sent_at"] for row in rows)


def test_a_policy_for_everybody_no_ladder_and_an_end() -> None:
    result = played(Scenario(LEDGER, until=date(2026, 2, 11), policy=PLAIN, escalate=False))
    follow_ups = [m for m in result.harvest.messages if m.stage not in ("invoice", "thanks")]
    assert {(m.invoice_numbers, m.step) for m in follow_ups} == {
        (("R1",), "before"),
        (("R1",), "after"),
        (("R5",), "before"),
        (("R5",), "after"),
    }
    assert result.harvest.rungs == []
    assert result.ended.date() <= date(2026, 2, 11)


def test_old_debt_enters_on_the_first_day() -> None:
    result = played(Scenario(LEDGER, first=date(2026, 3, 2), until=date(2026, 3, 3), approve=False))
    assert {s.number for s in result.harvest.settlements} == {"R3", "R4", "R5"}
    assert [step for _, step in sent(result.harvest, "R5")] == ["day-after"]


def test_a_relay_that_stands_still_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_: Relay) -> int:
        return 0

    monkeypatch.setattr(Relay, "run", nothing)
    with pytest.raises(NotSettledError, match="invoice-svc outbox: "):
        played(Scenario(LEDGER[:1]))


class Crash(Exception):  # noqa: N818
    """The process ends in the middle of an instant."""


async def _play(home: Home, server: EmbeddedPostgres, clock: SimulatedClock, agenda: Agenda, crash_at: int) -> Harvest:
    """Plays on from the clock; before the `crash_at`-th settling (if there is one) everything stops."""
    installation = Installation.on(
        server, addresses=Addresses.from_environment(), service_key="a-key-for-tests-only", mailbox=home.mailbox
    ).with_extras(Scenario(LEDGER).settings())
    await prepare(installation, server)
    async with await System.build(installation, clock, in_process=True) as system:
        key = await ensure_key(system.services["invoice-svc"], home, SELLER)
        headers = {"Authorization": f"Bearer {key}"}
        timelapse = Timelapse(system, clock, Poster(system.client("invoice-svc", headers), repeatable=True))
        await timelapse.settle()
        settle, left = timelapse.settle, crash_at

        async def settle_or_crash() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Crash
            await settle()

        timelapse.settle = settle_or_crash  # type: ignore[method-assign]

        async def entering(_: datetime) -> None:
            return

        await timelapse.play(agenda, None, entering)
        return await harvest(system, headers)


def test_interrupted_after_posting_it_goes_on_and_repeats_nothing(default: Simulated) -> None:
    """Stopped between the posts of an instant and their settling, three times, and entered again there."""
    with throwaway(None) as (home, server):
        first = Agenda(inputs(LEDGER)).next_at()
        assert first is not None
        clock = SimulatedClock(first)
        for crash_at in (2, 3, 5):
            agenda = Agenda(inputs(LEDGER))
            agenda.drop_before(clock.now())
            with pytest.raises(Crash):
                uvloop.run(_play(home, server, clock, agenda, crash_at))
        agenda = Agenda(inputs(LEDGER))
        agenda.drop_before(clock.now())
        found = uvloop.run(_play(home, server, clock, agenda, 0))
    assert sorted(m.key() for m in found.messages) == sorted(m.key() for m in default.harvest.messages)
    assert sorted(d.key() for d in found.decisions) == sorted(d.key() for d in default.harvest.decisions)
