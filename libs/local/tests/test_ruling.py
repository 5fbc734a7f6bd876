"""`remit policy` and `remit ladder` against a running system: saved from the file, refused with its line, in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import pytest
from remit_testing.ports import free_ports
from remit_testing.terminal import RemitRun, Terminal
from typer.testing import CliRunner, Result

from remit_events.state import Profile
from remit_local.cli import add_commands
from remit_local.commands.ruling import PROFILES

POLICY = """\
key: patient
steps:
  - {key: day-after, offset: 1, tone: neutral, channels: [email]}
window: {from: "09:00", to: "17:00"}
"""
LADDER = """\
key: short
rungs:
  - {key: call, action: task, days_overdue: 20, reminders: 2}
"""

Typed = Callable[..., Result]


@pytest.fixture(scope="module")
def remit() -> Iterator[Typed]:
    with TemporaryDirectory(prefix="remit-ruling-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        terminal = Terminal(Path(folder))
        with RemitRun(terminal, "--no-sample", "--port", str(free_ports())) as running:
            running.ready(90)

            def typed(*words: object) -> Result:
                said = ["--data", str(Path(folder) / ".remit"), *map(str, words)]
                return CliRunner().invoke(add_commands(), said, env={"REMIT_KEY": None})

            yield typed


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "patient.yaml"
    path.write_text(POLICY, encoding="utf-8")
    return path


@pytest.fixture
def ladder(tmp_path: Path) -> Path:
    path = tmp_path / "short.yaml"
    path.write_text(LADDER, encoding="utf-8")
    return path


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(result: Result) -> str:
    assert result.exit_code == 2, result.output
    return result.stderr


def test_a_policy_is_saved_and_put_to_use(remit: Typed, policy: Path) -> None:
    said = done(remit("policy", "save", policy))
    assert "Policy patient is saved as version 1.\nNo profile follows it yet: `remit policy use patient" in said
    said = done(remit("policy", "save", policy, "--for", "business", "--for", "government"))
    assert "saved as version 2.\nNew invoices of business and government customers follow patient." in said
    listed = [line.split(maxsplit=3) for line in done(remit("policy", "list")).splitlines()[1:]]
    assert ["patient", "2", "1", "business and government customers"] in listed
    assert "New invoices of business and government customers follow intensive." in done(
        remit("policy", "use", "intensive", "--for", "business", "--for", "government")
    )
    assert "New invoices of all customers follow patient." in done(remit("policy", "use", "patient", "--all"))
    assert "New invoices of business customers follow business." in done(
        remit("policy", "use", "business", "--for", "business")
    )
    assert "moved to policy patient version 2: 0." in done(remit("policy", "move", "patient", "--from", "business"))


def test_a_ladder_is_saved_and_put_to_use(remit: Typed, ladder: Path) -> None:
    assert "saved as version 1.\nNo profile is on it yet" in done(remit("ladder", "save", ladder))
    assert "It is the ladder of all customers;" in done(remit("ladder", "save", ladder, "--all"))
    ladder.write_text(LADDER.removeprefix("key: short\n"), encoding="utf-8")
    assert refused(remit("ladder", "save", ladder)).startswith(f"{ladder}: line 1: ladder: name it: add a `key`")


def test_every_flaw_has_its_line_and_the_services_own_too(remit: Typed, policy: Path) -> None:
    policy.write_text(POLICY.replace("offset: 1", "offset: soon").replace("neutral", "rude"), encoding="utf-8")
    assert refused(remit("policy", "save", policy)).splitlines() == [
        f"{policy}: line 3: steps/0/offset: This must be a whole number. (given: 'soon')",
        f"{policy}: line 3: steps/0/tone: This must be 'friendly', 'neutral', 'firm' or 'final'. (given: 'rude')",
    ]
    policy.write_text(POLICY.replace("09:00", "21:00").replace("17:00", "22:00"), encoding="utf-8")
    said = refused(remit("policy", "save", policy, "--for", "individual"))
    assert said.startswith(f"{policy}: line 4: window: The window lies outside 08:00–21:00")
    assert len(said.splitlines()) == 1


def test_one_is_known_from_the_other(remit: Typed, policy: Path, ladder: Path) -> None:
    assert "this is a policy (it has `steps`): give it" in refused(remit("ladder", "save", policy))
    assert "this is a ladder (it has `rungs`): give it" in refused(remit("policy", "save", ladder))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["save", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["save", "nowhere.yaml", "--for", "consumer"], "--for consumer: say business, individual or government"),
        (["save", "nowhere.yaml", "--for", "business", "--all"], "--for and --all: give one of them"),
        (["use", "business"], "say for whom"),
        (["use", "nobodys", "--all"], "There is no policy nobodys"),
        (["move", "nobodys"], "There is no policy nobodys"),
    ],
)
def test_what_cannot_be_is_one_line(remit: Typed, words: list[str], said: str) -> None:
    line = refused(remit("policy", *words))
    assert said in line
    assert len(line.splitlines()) == 1


def test_profiles_are_those_of_the_contract() -> None:
    assert get_args(Profile) == PROFILES
