"""What cannot be done on this machine is refused in one line with exit code 2, and leaves nothing behind."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from remit_testing.terminal import Terminal
from remit_testing.unprivileged import remit

from remit_local.home import Home

LEDGER = """customer_id,customer_name,email,phone,profile,country,timezone,language,invoice_number,issue_date,due_date,\
amount,currency,sms_consent,address
C1,Acme,,,,DE,,,R1,2026-01-05,2026-02-04,97.60,EUR,,
"""
FIRST_PORT = "20961"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder open to all, with a ledger in it."""
    tmp_path.chmod(0o755)
    (tmp_path / "ledger.csv").write_text(LEDGER, encoding="utf-8")
    return tmp_path


@pytest.fixture
def closed(place: Path) -> Iterator[Path]:
    """A folder nothing can be written to."""
    folder = place / "closed"
    folder.mkdir(mode=0o555)
    yield folder
    folder.chmod(0o755)


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """The one line."""
    assert result.returncode == 2, result.stdout + result.stderr
    [line] = result.stderr.splitlines()
    return line


RUN = ("run", "--port", FIRST_PORT)
STARTING = [RUN, ("migrate",), ("topics", "create")]


@pytest.mark.parametrize("command", STARTING)
def test_a_data_folder_that_may_not_be_made(closed: Path, command: tuple[str, ...]) -> None:
    said = refused(remit("--data", closed / "data", *command, cwd=closed))
    assert f"{closed / 'data'}: Permission denied" in said
    assert "--data" in said


@pytest.mark.parametrize("command", STARTING)
def test_a_data_folder_of_another_user(place: Path, command: tuple[str, ...]) -> None:
    data = place / "data"
    data.mkdir(mode=0o555)
    said = refused(remit("--data", data, *command, cwd=place))
    assert "Permission denied" in said
    assert "give this user the right to it" in said
    assert list(data.iterdir()) == []


@pytest.mark.parametrize("name", ["lock", "remit.log"])
def test_a_file_of_the_data_folder_that_is_another_users(place: Path, name: str) -> None:
    data = place / "data"
    data.mkdir()
    (data / name).touch(mode=0o400)
    said = refused(remit("--data", data, *RUN, cwd=place))
    assert f"{data / name}: Permission denied" in said
    assert not (data / "postgres").exists()


def test_a_note_another_user_closed(place: Path) -> None:
    data = place / "data"
    data.mkdir()
    (data / "running.json").touch(mode=0o000)
    assert f"{data / 'running.json'}: Permission denied" in refused(remit("--data", data, "plan", cwd=place))


@pytest.mark.skipif("os.geteuid() != 0", reason="only root's PostgreSQL runs as another user")
@pytest.mark.parametrize("command", [*STARTING, ("simulate", "ledger.csv", "--out", "out", "--keep", "{data}")])
def test_a_parent_closed_to_the_user_postgresql_runs_as(place: Path, command: tuple[str, ...]) -> None:
    home = place / "root"
    home.mkdir(mode=0o700)
    data = home / "data"
    given = [word.format(data=data) for word in command]
    assert f"run `chmod o+x {home}`" in refused(remit("--data", data, *given, cwd=place))
    assert list(home.iterdir()) == []
    assert not (place / "out").exists()


def test_an_out_folder_that_cannot_be_written_is_refused_before_anything_is_played(place: Path, closed: Path) -> None:
    (place / "out").mkdir()
    (place / "out" / "messages.csv").touch(mode=0o444)
    for out, said in (
        (closed, f"{closed} cannot be written"),
        (closed / "new", f"{closed} cannot be written"),
        (place / "out", "messages.csv cannot be written"),
        (place / "ledger.csv", "ledger.csv is not a folder"),
    ):
        assert said in refused(remit("simulate", "ledger.csv", "--out", out, "--until", "2026-01-06", cwd=place))
    assert "closed cannot be written" in refused(remit("plan", "--render", closed / "new", cwd=place))


def test_a_last_day_before_the_ledgers_first_is_refused(place: Path) -> None:
    said = refused(remit("simulate", "ledger.csv", "--out", place / "out", "--until", "2020-01-01", cwd=place))
    assert "nothing happens by then; give a day from 2026-" in said


def test_nothing_to_play_makes_no_folder(place: Path) -> None:
    (place / "kept").mkdir()
    (place / "kept" / "something").touch()
    refused(remit("simulate", "ledger.csv", "--out", "out", "--keep", "kept", cwd=place))
    assert not (place / "out").exists()


@pytest.mark.parametrize("file", ["closed.csv", ".", "nowhere.csv"])
def test_a_ledger_that_cannot_be_read(place: Path, file: str) -> None:
    (place / "closed.csv").touch(mode=0o000)
    for command in (("simulate", file, "--out", "out"), (*RUN, "--invoices", file)):
        result = remit(*command, cwd=place)
        assert result.returncode == 2
        assert file in result.stderr.splitlines()[-1]
        assert "Traceback" not in result.stderr
    assert sorted(path.name for path in place.iterdir()) == ["closed.csv", "ledger.csv"]


@pytest.mark.parametrize(
    ("options", "environment", "said"),
    [
        ([], {"REMIT_PORT": "65534"}, "REMIT_PORT: NOTIFIER_PORT would be 65536; give at most 65532"),
        (["--host", "nowhere.invalid"], {}, "nothing can listen on nowhere.invalid"),
        ([], {"HOST": "192.0.2.1"}, "give an address of this machine with --host or HOST"),
        (["--port", FIRST_PORT], {"DELIVERY_MODE": "loud"}, "DELIVERY_MODE: "),
        (["--port", FIRST_PORT], {"EVENTS_URL": "kafka://127.0.0.1:9"}, "start it (`make kafka`) or leave EVENTS_URL"),
        (["--port", FIRST_PORT], {"EVENTS_URL": "amqp://127.0.0.1"}, "EVENTS_URL"),
    ],
)
def test_what_the_environment_asks_for_and_is_not_there(
    place: Path, options: list[str], environment: dict[str, str], said: str
) -> None:
    terminal = Terminal(place)
    terminal.environment |= environment
    line = refused(terminal.remit("run", "--no-sample", *options))
    assert said in line
    assert "Error" not in line
    assert not (place / ".remit").exists(), "nothing is left half made"


@pytest.mark.parametrize("command", [("migrate",), ("topics", "create")])
def test_a_broker_that_is_not_there_leaves_no_folder(place: Path, command: tuple[str, ...]) -> None:
    terminal = Terminal(place)
    terminal.environment["EVENTS_URL"] = "kafka://127.0.0.1:9"
    assert "does not answer" in refused(terminal.remit(*command))
    assert not (place / ".remit").exists()


def test_a_refusal_takes_no_folder_away_that_was_there(place: Path) -> None:
    (place / ".remit").mkdir()
    terminal = Terminal(place)
    terminal.environment["EVENTS_URL"] = "kafka://127.0.0.1:9"
    refused(terminal.remit(*RUN))
    assert (place / ".remit" / "postgres").exists()


@pytest.mark.parametrize(
    ("note", "kept", "said"),
    [
        ("installation", {"sample": True}, "holds the shipped sample: give your own invoices another folder"),
        ("ledger", {"file": "/home/ada/open.csv"}, "follows /home/ada/open.csv: to take over a later export"),
    ],
)
def test_one_ledger_to_a_folder(place: Path, note: str, kept: dict[str, object], said: str) -> None:
    home = Home(place / "data").make()
    home.remember(note, kept)
    found = refused(Terminal(place).remit("--data", home.folder, *RUN, "--invoices", "ledger.csv"))
    assert said in found
    assert "--data or REMIT_DATA" in found
    assert not home.postgres.exists()


@pytest.mark.skipif("not os.path.exists('/dev/full')", reason="no device that is always full")
def test_running_out_of_room_is_one_line(place: Path) -> None:
    (place / "out").mkdir()
    (place / "out" / "messages.csv").symlink_to("/dev/full")
    said = refused(Terminal(place).remit("simulate", "ledger.csv", "--out", "out", "--until", "2026-01-06"))
    assert "No space left on device; make room on the disk" in said
