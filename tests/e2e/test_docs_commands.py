"""What README.md and docs/ print is typed: every curl and every remit command, against a running system."""

from __future__ import annotations

import asyncio
import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from remit_testing.ports import free_ports
from remit_testing.printed import ROOT, Printed, documents, printed
from remit_testing.smtp import MailServer
from remit_testing.terminal import RemitRun, Terminal
from typer.main import get_command
from typer.testing import CliRunner

from remit_local.cli import add_commands
from remit_local.ledger import OPTIONAL, REQUIRED
from remit_local.rule_files import read_policy

ALL = [one for document in documents() for one in printed(document)]
# Run by tests of their own (compose, manifests, the first run), or of other programs than ours.
ELSEWHERE = ("docker", "kubectl")


@dataclass(frozen=True)
class Typed:
    """What is typed in place of a line that cannot be typed as it stands, and what comes of it."""

    line: str
    code: int = 0
    says: str = ""


# Lines that name a command rather than spell it out, or hold a placeholder.
STAND_INS = {
    "remit dlq show SERVICE ID": Typed("remit dlq show notifier-svc 1", 2, "there is no dead letter 1"),
    "remit dlq replay SERVICE ID": Typed("remit dlq replay notifier-svc 1", 2, "no dead letter"),
    'remit dlq discard SERVICE ID --reason "…"': Typed(
        'remit dlq discard notifier-svc 1 --reason "gone"', 2, "no dead letter"
    ),
    "remit parked retry SERVICE KEY": Typed("remit parked retry notifier-svc none", 2, "none"),
    'remit parked drop SERVICE EVENT --reason "…"': Typed('remit parked drop notifier-svc none --reason "gone"', 2),
    'remit reopen INVOICE --reason "…"': Typed('remit reopen INVOICE --reason "paid to us"', 2, "it goes on by itself"),
    "remit replay": Typed("remit replay invoice-svc --since {yesterday} --dry-run", says="would be published again"),
    "remit policy save FILE.yaml --for business": Typed("remit policy save patient.yaml --for business"),
    "remit ladder save FILE.yaml --for business": Typed("remit ladder save ladder.yaml --for business"),
    "remit key create --scope …": Typed("remit key create --scope invoices:read", says="rk_"),
    "remit run": Typed("remit run --help"),
    "remit live on": Typed("echo 'Acme Ltd' | remit live on", says="DELIVERY_MODE is mailbox"),
    ".venv/bin/remit --data .remit-own …": Typed(".venv/bin/remit --data .remit approvals"),
    ".venv/bin/remit --data other run --port 9001": Typed(".venv/bin/remit --data other run --help"),
    "remit run --processes": Typed("remit run --help", says="--processes"),
}
SHIPPED_LADDER = ROOT / "services/escalation-svc/src/escalation_svc/ladders/default.yaml"
SHIPPED_KEY = "rk_only-for-development-change-me"


class Desk:
    """A terminal beside a running system, with the files the documents speak of."""

    def __init__(self, terminal: Terminal, port: int) -> None:
        self.terminal = terminal
        self._port = port
        self._assigned: list[str] = []
        (terminal.folder / ".venv").symlink_to(Path(sys.executable).parents[1])
        (terminal.folder / "patient.yaml").write_text(example_policy(), encoding="utf-8")
        shutil.copy(SHIPPED_LADDER, terminal.folder / "ladder.yaml")

    async def type(self, one: Printed) -> str:
        """Types a line; gives what was printed, after checking how it ended."""
        stand_in = STAND_INS.get(one.line) or Typed(f"{one.line} --help" if only_named(one.line) else one.line)
        line = self._fitted(stand_in.line)
        if re.match(r"[A-Z]+=\$\(", line):
            self._assigned.append(line)
        self._lay_out(names_as_theirs="--map" in line)
        if line.endswith("--help"):
            assert CliRunner().invoke(add_commands(), shlex.split(line)[1:]).exit_code == 0, line
            return ""
        done = await asyncio.to_thread(self.terminal.typed, "\n".join([*self._assigned, line]))
        said = done.stdout + done.stderr
        assert done.returncode == stand_in.code, f"{one.document}: {line}\n{said}"
        assert stand_in.says in said, f"{one.document}: {line}\n{said}"
        return done.stdout

    def _fitted(self, line: str) -> str:
        """With this system's ports and key, and an invoice there is in place of INVOICE."""
        line = re.sub(r"127\.0\.0\.1:800(\d)", lambda port: f"127.0.0.1:{self._port + int(port[1]) - 1}", line)
        line = line.replace(SHIPPED_KEY, (self.terminal.folder / ".remit" / "key").read_text().strip())
        line = line.replace("{yesterday}", f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}")
        if " INVOICE" in line:
            line = line.replace("INVOICE", self._an_invoice())
        return line.replace("curl ", "curl --fail-with-body ", 1) if line.startswith("curl ") else line

    def _an_invoice(self) -> str:
        """One that 120.00 can be paid on."""
        url = f"http://127.0.0.1:{self._port}/v1/invoices?status=open&limit=200"
        listed = self.terminal.typed(f"curl -s -H \"Authorization: Bearer $(cat .remit/key)\" '{url}'")
        invoices = json.loads(listed.stdout)["data"]
        return next(str(one["number"]) for one in invoices if one["currency"] == "EUR" and one["balance_minor"] > 12000)

    def _lay_out(self, *, names_as_theirs: bool) -> None:
        """invoices.csv, with our column names and forms or with those the options are about."""
        issued = datetime.now(UTC).date() - timedelta(days=20)
        row = dict.fromkeys((*REQUIRED, *OPTIONAL), "") | {
            "customer_id": "C1",
            "customer_name": "Acme GmbH",
            "country": "DE",
            "email": "ap@acme.example",
            "invoice_number": "X-1",
            "issue_date": f"{issued:%d.%m.%Y}" if names_as_theirs else issued.isoformat(),
            "amount": "1.190,00" if names_as_theirs else "1190.00",
            "currency": "EUR",
        }
        if names_as_theirs:
            row = {"RechNr" if name == "invoice_number" else name: value for name, value in row.items()}
            row["Filiale"] = "Nord"
        with (self.terminal.folder / "invoices.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerow(row)


def only_named(line: str) -> bool:
    """Whether a text speaks of a command rather than gives one: it has commands of its own, or wants arguments."""
    command: Any = get_command(add_commands())
    for word in line.split()[1:]:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            return False
    return line.startswith("remit") and (hasattr(command, "commands") or any(one.required for one in command.params))


def example_policy() -> str:
    """The YAML in docs/files.md."""
    text = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    found = re.search(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


async def test_every_curl_and_remit_command_works_as_printed(open_folder: Path) -> None:
    terminal, port = Terminal(open_folder), free_ports()
    async with MailServer() as mail:
        terminal.environment |= {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(mail.port), "SMTP_SECURITY": "none"}
        with RemitRun(terminal, "--port", str(port)) as running:
            await asyncio.to_thread(running.ready, 60)
            desk = Desk(terminal, port)
            first = {one.line: one for one in reversed(ALL)}  # a line is typed where it is printed first
            typed = [one for one in ALL if first[one.line] is one and one.program not in (*ELSEWHERE, "make", "python")]
            assert sum(one.program == "curl" for one in typed) > 4
            assert sum(one.program == "remit" for one in typed) > 25
            for one in typed:
                said = await desk.type(one)
                if one.program == "curl":
                    json.loads(said)
                if "/v1/plans" in one.line:
                    await come_through(desk, one, "acme")
        assert [message.recipients for message in mail.messages] == [["you@acme.example"]]


async def come_through(desk: Desk, curl: Printed, name: str) -> None:
    """Events travel: what the document made just before is in the answer soon."""
    for _ in range(50):
        if name in await desk.type(curl):
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"{name} is not in what {curl.line} answers")


def test_stand_ins_are_still_printed() -> None:
    assert {one.line for one in ALL} >= set(STAND_INS)


@pytest.mark.parametrize("line", sorted({one.line for one in ALL if one.program == "make"}))
def test_make_has_the_targets(line: str) -> None:
    done = subprocess.run([*shlex.split(line), "-n"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", sorted({one.line for one in ALL if one.program == "python"}))
def test_programs_have_the_commands(line: str) -> None:
    words = shlex.split(line)[1:]
    done = subprocess.run([sys.executable, *words, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_example_policy_can_be_used(tmp_path: Path) -> None:
    file = tmp_path / "patient.yaml"
    file.write_text(example_policy(), encoding="utf-8")
    assert read_policy(file).key == "patient"


def test_every_column_is_described() -> None:
    table = (ROOT / "docs" / "files.md").read_text(encoding="utf-8").partition("## A policy")[0]
    rows = re.findall(r"^\| (`.*?) \| (required)?", table, re.MULTILINE)
    described = {name: bool(required) for names, required in rows for name in re.findall(r"`(\w+)`", names)}
    assert {name for name, required in described.items() if required} == set(REQUIRED)
    assert set(described) == {*REQUIRED, *OPTIONAL}


def test_links_lead_somewhere() -> None:
    for document in documents():
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.relative_to(ROOT)}: {target}"
