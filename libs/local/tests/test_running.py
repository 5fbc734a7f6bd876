"""`remit run` as a process, and the commands a user would give while it runs."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from remit_testing import unprivileged
from remit_testing.ports import free_ports
from typer.testing import CliRunner, Result

from remit_local.cli import add_commands
from remit_local.client import Remit as Api

HEADER = "customer_id,customer_name,email,phone,profile,country,timezone,language,invoice_number,issue_date,due_date"
READY_SECONDS = 90

Remit = Callable[..., Result]


def today() -> date:
    """At this desk, at this moment: a run may pass midnight."""
    return date.today()  # noqa: DTZ011


def start(data: Path, *options: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("REMIT_", "EVENTS_"))}
    command = [sys.executable, "-m", "remit_local", "--data", str(data), "run", "--port", str(free_ports()), *options]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment | {"PYTHONUNBUFFERED": "1"},
    )


def until_ready(process: subprocess.Popen[str]) -> str:
    """What it printed up to the line that says that it runs; killed when that does not come in time."""
    assert process.stdout is not None
    watchdog = threading.Timer(READY_SECONDS, process.kill)
    watchdog.start()
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("Remit is running"):
            watchdog.cancel()
            return said
    raise AssertionError(f"ended with {process.wait()}: {said}")


def stopped(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("remit") / "data"
    for parent in folder.parents[:3]:
        parent.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def running(data: Path) -> Iterator[str]:
    """A system without the sample; gives what it said when it was ready."""
    process = start(data, "--no-sample")
    try:
        yield until_ready(process)
        assert "Stopped." in stopped(process)
    finally:
        process.kill()
        if process.stdout:
            process.stdout.close()
        process.wait()


@pytest.fixture
def remit(running: str, data: Path) -> Remit:
    app = add_commands()

    def call(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["--data", str(data), *map(str, arguments)])

    return call


def ledger(path: Path, rows: list[dict[str, Any]]) -> Path:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def row(number: str, **more: Any) -> dict[str, Any]:
    base = {
        "customer_id": "C1",
        "customer_name": "Acme GmbH",
        "email": "ap@acme.example",
        "profile": "business",
        "country": "DE",
        "timezone": "Europe/Berlin",
        "language": "de",
        "invoice_number": number,
        "issue_date": (today() - timedelta(days=40)).isoformat(),
        "due_date": (today() - timedelta(days=10)).isoformat(),
        "amount": "119.00",
        "currency": "EUR",
        "disputed": "no",
        "paid_date": "",
    }
    return base | more


def counts(result: Result) -> dict[str, int]:
    found = re.findall(r"^(created|changed|unchanged|conflict|rejected) +(\d+)", result.stdout, re.MULTILINE)
    return {name: int(count) for name, count in found if int(count)}


def test_an_export_is_taken_again_and_again(remit: Remit, tmp_path: Path) -> None:
    rows = [row("A1"), row("A2"), row("A3", customer_id="C2", customer_name="Beta Ltd", email="ap@beta.example")]
    path = ledger(tmp_path / "open.csv", [*rows, row("A4", amount="-5")])
    dry = remit("import", path, "--dry-run")
    assert (dry.exit_code, counts(dry)) == (3, {"created": 3, "rejected": 1})
    assert not (tmp_path / "open.rejected.csv").exists()
    first = remit("import", path)
    assert (first.exit_code, counts(first)) == (3, {"created": 3, "rejected": 1})
    assert "must not be negative" in (tmp_path / "open.rejected.csv").read_text(encoding="utf-8-sig")

    again = remit("import", ledger(path, rows))
    assert (again.exit_code, counts(again)) == (0, {"unchanged": 3})
    assert "open.rejected.csv was removed" in again.stderr.replace("\n", "")
    assert not (tmp_path / "open.rejected.csv").exists()

    yesterday = (today() - timedelta(days=1)).isoformat()
    tomorrow = [rows[0] | {"paid_date": yesterday}, rows[1] | {"amount": "120.00"}]
    later = remit("import", ledger(path, tomorrow))
    assert later.exit_code == 0
    assert counts(later) == {"changed": 1, "conflict": 1}
    assert "No longer in the file, left open: A3" in later.stdout
    assert re.search(r"A2 +amount +119.00 +120.00", later.stdout)

    assert remit("pay", "A3", "119.00", "--ref", "by hand").exit_code == 0
    disputed = remit("import", ledger(path, [*tomorrow, rows[2] | {"disputed": "yes", "open_amount": "119.00"}]))
    assert counts(disputed) == {"changed": 1, "unchanged": 1, "conflict": 1}
    assert re.search(r"A3 +open_amount +0.00 +119.00", disputed.stdout)
    blank = remit("import", ledger(path, [*tomorrow, rows[2] | {"disputed": ""}]))
    assert re.search(r"A3 +disputed +yes +\(blank\)", blank.stdout)

    future = remit("import", ledger(path, [rows[2] | {"paid_date": (today() + timedelta(days=9)).isoformat()}]))
    assert (future.exit_code, counts(future)) == (3, {"rejected": 1})


def test_mended_rows_are_no_new_export(remit: Remit, tmp_path: Path) -> None:
    path = ledger(tmp_path / "parts.csv", [row("P1", customer_id="C5"), row("P2", customer_id="C5", amount="-5")])
    assert remit("import", path).exit_code == 3
    mended = tmp_path / "parts.rejected.csv"
    mended.write_text(mended.read_text(encoding="utf-8-sig").replace("'-5", "5"), encoding="utf-8")
    done = remit("import", mended)
    assert (done.exit_code, counts(done)) == (0, {"created": 1})
    assert "No longer in the file" not in done.stdout
    assert "P1" in remit("import", ledger(path, [row("P2", customer_id="C5", amount="5")])).stdout


def test_what_is_wrong_with_many_rows_is_said_once(remit: Remit, tmp_path: Path) -> None:
    rows = [row(f"Q{n}", issue_date="13.10.2026", due_date="31.10.2026") for n in range(30)]
    refused = remit("import", ledger(tmp_path / "days.csv", [*rows, row("Q30", amount="-5")]), "--dry-run")
    assert (refused.exit_code, counts(refused)) == (3, {"rejected": 31})
    assert re.search(r"2 … +issue_date, due_date +13.10.2026 … +is not an ISO date", refused.stderr)
    assert refused.stderr.count("--date-format") == 1
    assert "(so in 30 rows)" in refused.stderr
    assert re.search(r"32 +amount +-5 +must not be negative", refused.stderr)
    assert "more" not in refused.stderr


def test_rejected_rows_that_cannot_be_kept_are_listed(running: str, data: Path, tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    path = ledger(tmp_path / "share" / "some.csv", [row("S1", customer_id="C7"), row("S2", amount="-5")])
    path.parent.chmod(0o555)
    done = unprivileged.remit("--data", data, "import", path, cwd=tmp_path)
    path.parent.chmod(0o755)
    assert done.returncode == 3
    assert re.search(r"^created +1", done.stdout, re.MULTILINE)
    assert "must not be negative" in done.stderr
    assert "some.rejected.csv is not kept: " in done.stderr
    assert "Permission denied" in done.stderr


def test_an_unusable_file_changes_nothing(remit: Remit, tmp_path: Path) -> None:
    path = ledger(tmp_path / "odd.csv", [row("B1") | {"colour": "red"}])
    refused = remit("import", path)
    assert refused.exit_code == 2
    assert "unknown columns: colour" in refused.stderr
    assert remit("import", path, "--ignore-unknown", "--dry-run").exit_code == 0


def test_why_plan_pay_and_hold(remit: Remit, tmp_path: Path) -> None:
    path = ledger(
        tmp_path / "mine.csv",
        [row("D1", customer_id="C9", due_date=(today() + timedelta(days=3)).isoformat()), row("D2", customer_id="C9")],
    )
    assert remit("import", path).exit_code == 0
    planned = wait_for(lambda: remit("plan", "D1", "--days", 30, "--render", tmp_path / "out"), "D1 119.00 EUR")
    assert planned.exit_code == 0
    assert any("D1" in file.read_text(encoding="utf-8") for file in (tmp_path / "out").glob("*.txt"))
    assert " by email, if nothing changes." in remit("why", "D1").stdout
    assert "is on hold until it is released" in remit("hold", "D1", "--reason", "talks").stdout
    assert "It is held: talks." in remit("why", "D1").stdout
    assert "followed up again" in remit("release", "D1").stdout
    paid = remit("pay", "D1", "19.00", "--ref", "bank-1")
    assert "100.00 EUR is still owed" in paid.stdout
    assert remit("pay", "D1", "19.00", "--ref", "bank-1").stdout == paid.stdout
    for other in (("D2", "19.00"), ("D1", "20.00")):
        refused = remit("pay", *other, "--ref", "bank-1")
        assert refused.exit_code == 2
        assert "was used before, for 19.00 EUR" in refused.stderr
        assert "put to" not in refused.stdout
    for written, reason in (("1.234", "more decimals than EUR has"), ("1,234", "could be read in two ways")):
        refused = remit("pay", "D1", written, "--ref", "bank-2")
        assert (refused.exit_code, reason in refused.stderr) == (2, True)
    assert "99.00 EUR is still owed" in remit("pay", "D1", "1,00", "--ref", "bank-2", "--decimal-comma").stdout
    assert remit("pay", "D1", "99.00", "--ref", "bank-3").exit_code == 0
    refused = remit("pay", "D1", "200.00", "--ref", "bank-4")
    assert (refused.exit_code, "Name the customer instead of the invoice" in refused.stderr) == (2, True)
    refused = remit("pay", "C9", "200.00", "--ref", "bank-4")
    assert (refused.exit_code, "--currency EUR" in refused.stderr) == (2, True)
    paid = remit("pay", "C9", "200.00", "--ref", "bank-4", "--currency", "eur")
    assert "119.00 EUR put to D2; 0.00 EUR is still owed on it." in paid.stdout
    assert "81.00 EUR stays as credit on account; `remit allocate` puts it to invoices." in paid.stdout
    refused = remit("allocate", "C9")
    assert (refused.exit_code, "no open invoice in EUR" in refused.stderr) == (2, True)
    assert remit("import", ledger(tmp_path / "more.csv", [row("D3", customer_id="C9")])).exit_code == 0
    assert remit("allocate", "D3").stdout == "81.00 EUR put to D3; 38.00 EUR is still owed on it.\n"
    refused = remit("allocate", "C9")
    assert (refused.exit_code, "C9 has no credit on account" in refused.stderr) == (2, True)
    refused = remit("pay", "C9", "1", "--ref", "bank-5", "--currency", "zzz")
    assert (refused.exit_code, "ZZZ: this is no ISO 4217 code" in refused.stderr) == (2, True)
    assert remit("why", "nobody").exit_code == 2


def sends(result: Result) -> list[tuple[str, str]]:
    """The reminders that a plan lists with their days, but the first, which leaves at once in office hours."""
    found = re.findall(r"^\w{3} (\d{4}-\d\d-\d\d) .* overdue +(\S+)", result.stdout, re.MULTILINE)
    return [one for one in found if one[1] != "day-after"]


def bounce(data: Path, reference: str) -> None:
    with Api.of(data) as api:
        (payment,) = [one for one in api.pages("invoice-svc", "/v1/payments") if one["reference"] == reference]
        api.post("invoice-svc", f"/v1/payments/{payment['id']}/reverse", {"reason": "bounced"})


@pytest.mark.parametrize("by", ["hand", "import"])
def test_old_debt_is_chased_on_when_its_payment_bounces(remit: Remit, data: Path, tmp_path: Path, by: str) -> None:
    number, overdue = f"Z-{by}", (today() - timedelta(days=53)).isoformat()
    due = row(number, customer_id=f"C-{by}", email=f"{by}@z.example", issue_date=overdue, due_date=overdue)
    path = ledger(tmp_path / "old.csv", [due | {"open_amount": "119.00"}])
    assert remit("import", path).exit_code == 0
    before = sends(wait_for(lambda: remit("plan", number, "--days", 90), "final-notice"))
    assert [step for _, step in before] == ["second", "third", "final-notice"]
    if by == "import":
        remit("import", ledger(path, [due | {"open_amount": "0"}]))
    else:
        assert remit("pay", number, "119.00", "--ref", "bounces").exit_code == 0
    wait_for(lambda: remit("plan", number, "--days", 90), "Nothing would leave in the next 90 days.")
    wait_for(lambda: remit("why", number), "Step final-notice was not sent: the invoice was paid")
    if by == "import":
        remit("import", ledger(path, [due | {"open_amount": "119.00"}]))
    else:
        bounce(data, "bounces")
    assert sends(wait_for(lambda: remit("plan", number, "--days", 90), "final-notice")) == before


def test_debt_of_half_a_year_waits_for_a_person_and_is_let_go(remit: Remit, tmp_path: Path) -> None:
    long_ago = (today() - timedelta(days=200)).isoformat()
    old = row("O-1", customer_id="C-old", issue_date=long_ago, due_date=long_ago)
    told = remit("import", ledger(tmp_path / "old.csv", [old]))
    assert "1 open invoice came in more than 180 days overdue, and nothing is sent about it" in told.stdout
    assert "came in more than" not in remit("import", tmp_path / "old.csv").stdout
    assert "O-1 " in wait_for(lambda: remit("review"), "`remit release INVOICE`").stdout
    said = wait_for(lambda: remit("why", "O-1"), "It waits for a person").stdout
    assert re.search(r"Next: step day-after waits: .* a person looks at it first", said)
    assert f"is followed up from {today()} on" in remit("release", "O-1").stdout
    assert remit("review").stdout == "Nothing waits for review.\n"
    assert "Next: step day-after goes " in remit("why", "O-1").stdout
    assert "O-1: Next: step second goes " in remit("why", "C-old").stdout
    assert remit("release", "O-1").exit_code == 2


def test_plan_shows_what_was_decided_and_waits(remit: Remit, data: Path, tmp_path: Path) -> None:
    """Switched off, the invoice itself waits in notifier-svc; the scheduler knows nothing of it. So do its thanks."""
    assert remit("automation", "off").exit_code == 0
    issued = row("E1", customer_id="C8", timezone="UTC", issue_date=today().isoformat(), due_date="2099-01-04")
    assert remit("import", ledger(tmp_path / "new.csv", [issued])).exit_code == 0
    planned = wait_for(lambda: remit("plan", "E1", "--render", tmp_path / "out"), "(waits:")
    assert re.search(r"Acme GmbH +email +invoice", planned.stdout)
    assert any("E1" in file.read_text(encoding="utf-8") for file in (tmp_path / "out").glob("*.txt"))
    assert remit("pay", "E1", "119.00", "--ref", "returned").exit_code == 0
    assert "(waits: automation is off)" in wait_for(lambda: remit("plan", "E1"), "thanks").stdout
    bounce(data, "returned")
    planned = wait_for(lambda: remit("plan", "E1"), "E1: the thank-you will not be sent: it is owed again.")
    assert not re.search(r"email +thanks", planned.stdout)
    assert remit("automation", "on").exit_code == 0


def wait_for(call: Callable[[], Result], text: str) -> Result:
    """Events travel: asks again for a few seconds."""
    for _ in range(50):
        result = call()
        if text in result.stdout:
            return result
        time.sleep(0.2)
    raise AssertionError(result.output)


def test_seller_keys_switch_and_letters(remit: Remit) -> None:
    assert "Acme Billing" in remit("seller", "set", "name=Acme Billing", "reply_to=ap@acme.example").stdout
    assert remit("seller", "set", "colour=red").exit_code == 2
    key = remit("key", "create", "books", "--scope", "invoices:read").stdout.strip()
    assert key.startswith("rk_")
    listed = remit("key", "list").stdout
    assert "invoices:read" in listed
    assert key not in listed
    assert "off: nothing leaves (stocktaking)" in remit("automation", "off", "--reason", "stocktaking").stdout
    assert "Automation is on" in remit("automation", "on").stdout
    assert remit("approvals").stdout.strip() == "Nothing waits for approval."
    refused = remit("approve", "R0", "--yes")
    assert (refused.exit_code, "nothing of invoice R0 waits for approval" in refused.stderr) == (2, True)
    assert remit("dlq", "list").stdout.strip() == "There are no dead letters."
    assert (
        "would be published again" in remit("replay", "invoice-svc", "--since", today().isoformat(), "--dry-run").stdout
    )
    assert remit("live", "check").exit_code == 0
    refused = remit("live", "on", "--seller", "Acme Billing")
    assert (refused.exit_code, "seller set" in refused.stderr) == (2, True)
    assert "remit" in remit("version").stdout


def test_a_second_one_in_the_same_folder_is_kept_out(running: str, data: Path) -> None:
    second = start(data)
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 2
    assert len(said.splitlines()) == 1
    assert f"Remit already runs in {data}" in said


def test_the_key_is_closed_to_others_and_the_urls_are_noted(running: str, data: Path) -> None:
    assert (data / "key").stat().st_mode & 0o777 == 0o600
    urls = json.loads((data / "running.json").read_text())["urls"]
    assert sorted(urls) == ["escalation-svc", "invoice-svc", "notifier-svc", "scheduler-svc"]
    assert all(f"{url}/docs" in running for url in urls.values())
    assert "Nothing has been sent yet." in running


def test_ones_own_ledger_has_the_folder_for_itself(data: Path, tmp_path: Path) -> None:
    own = data.parent / "own"
    path = ledger(tmp_path / "mine.csv", [row("O1"), row("O2", open_amount="0"), row("O3", disputed="yes")])
    process = start(own, "--invoices", str(path))
    try:
        said = until_ready(process)
        assert re.search(r"created +3", said), said
        assert "Rows with open_amount 0 and no paid_date: 1." in said
        stopped(process)
    finally:
        process.kill()
        process.wait()
    assert json.loads((own / "ledger.json").read_text()) == {"file": str(path)}
    other = start(own, "--invoices", str(ledger(tmp_path / "theirs.csv", [row("O1")])))
    said, _ = other.communicate(timeout=60)
    assert other.returncode == 2
    assert f"{own} follows {path}" in said
