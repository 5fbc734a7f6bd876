"""The `remit` command's shape: what it lists, and how it refuses: one line, exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from remit_local.cli import add_commands

LEDGER = """customer_id,customer_name,email,phone,profile,country,timezone,language,invoice_number,issue_date,due_date,\
amount,currency,sms_consent,address
C1,Acme,,,,DE,,,R1,2026-01-05,2026-02-04,97.60,EUR,,
"""
POLICY = """key: mine
steps:
  - {key: one, offset: 7, tone: neutral, channels: [email]}
  - {key: two, offset: 3, tone: neutral, channels: [email]}
window: {from: "09:00", to: "17:00"}
"""
COMMANDS = (
    "run import simulate plan why review pay allocate hold release approvals approve reject reopen automation seller "
    "key policy ladder live dlq parked replay topics migrate version"
)


def remit(*arguments: object, **options: str) -> Result:
    return CliRunner().invoke(add_commands(), [str(one) for one in arguments], env=options)


def refused(result: Result) -> str:
    """The one line it was refused with."""
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.csv"
    path.write_text(LEDGER, encoding="utf-8")
    return path


def test_every_command_is_listed_and_helps() -> None:
    listed = remit("--help")
    assert listed.exit_code == 0
    for command in COMMANDS.split():
        assert f"\n  {command} " in listed.stdout
        assert remit(command, "--help").exit_code == 0


def test_without_an_installation_it_says_how_to_start_one(tmp_path: Path, ledger: Path) -> None:
    data = tmp_path / "nothing"
    for command in (["plan"], ["why", "R1"], ["import", ledger], ["approvals"], ["key", "list"], ["live", "check"]):
        assert "start Remit first" in refused(remit("--data", data, *command, REMIT_KEY=""))
    for command in (["dlq", "list"], ["replay", "invoice-svc", "--since", "2026-01-01"]):
        assert "there is no installation" in refused(remit("--data", data, *command))
    assert not data.exists()


def test_the_data_folder_comes_from_the_environment_too(tmp_path: Path) -> None:
    assert str(tmp_path / "here") in refused(remit("plan", REMIT_DATA=str(tmp_path / "here"), REMIT_KEY=""))


def test_a_policy_that_cannot_work_is_refused_with_its_line(tmp_path: Path, ledger: Path) -> None:
    policy = tmp_path / "mine.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    said = refused(remit("simulate", ledger, "--out", tmp_path / "out", "--policy", policy))
    assert "mine.yaml: line 4: " in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--approve", "sometimes"], "say auto or never"),
        (["--ladder", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["--policy", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["--map", "amount"], "is no pair"),
        (["--date-format", "DD"], "must name day, month and year"),
        (["--from", "2027-01-01", "--until", "2026-01-01"], "--until lies before --from"),
    ],
)
def test_simulate_refuses_options_that_cannot_be(tmp_path: Path, ledger: Path, options: list[str], said: str) -> None:
    assert said in refused(remit("simulate", ledger, "--out", tmp_path / "out", *options))


@pytest.mark.parametrize(
    "command",
    [
        ["why", "R1", "--on"],
        ["hold", "R1", "--reason", "x", "--until"],
        ["pay", "R1", "1", "--ref", "x", "--on"],
        ["simulate", "x.csv", "--out", "x", "--from"],
        ["replay", "invoice-svc", "--since"],
    ],
)
@pytest.mark.parametrize("given", ["31.12.2026", "2026-13-01"])
def test_a_day_is_asked_for_as_it_is_written(command: list[str], given: str) -> None:
    result = remit(*command, given)
    assert result.exit_code == 2
    assert f"'{given}' is no " in result.stderr
    assert "2026-12-31" in result.stderr
    assert "%" not in result.stderr


def test_a_date_format_is_spelled_as_it_was_given(ledger: Path) -> None:
    ledger.write_text(LEDGER.replace("2026-01-05", "05/01/2026"), encoding="utf-8")
    said = remit("simulate", ledger, "--out", ledger.parent / "out", "--date-format", "DD.MM.YYYY").stderr
    assert "nor of the format DD.MM.YYYY" in " ".join(said.split())


def test_a_kept_folder_must_be_new(tmp_path: Path, ledger: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "something").touch()
    said = refused(remit("simulate", ledger, "--out", tmp_path / "out", "--keep", tmp_path / "kept"))
    assert "is not empty" in said


def test_a_ledger_without_a_good_row_is_listed_and_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(LEDGER.replace("2026-01-05", "05/01/2026"), encoding="utf-8")
    result = remit("simulate", path, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "issue_date" in result.stderr
    assert "no row that can be taken" in result.stderr


def test_a_port_in_use_is_named_before_anything_starts(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = refused(remit("--data", tmp_path / "data", "run", NOTIFIER_PORT=port, REMIT_PORT="20951"))
    assert f"port {port} on 127.0.0.1 is in use (notifier-svc listens there)" in said
    assert "NOTIFIER_PORT" in said
    assert not (tmp_path / "data" / "postgres").exists()
