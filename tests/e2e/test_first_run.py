"""`remit run` on a fresh machine: the table, the printed commands, Ctrl-C, the second start, what can go wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import httpx
import pytest
from remit_testing.ports import free_ports
from remit_testing.terminal import RemitRun, Terminal, commands

# Until it is given up: the other workers have the machine too. How long it took is printed.
READY_SECONDS = 180.0
STOP_SECONDS = 30.0


@pytest.fixture
def terminal(open_folder: Path) -> Terminal:
    return Terminal(open_folder)


def test_the_first_day(terminal: Terminal, figure: Callable[[str], None]) -> None:
    port = str(free_ports())
    with RemitRun(terminal, "--port", port) as first:
        said = first.ready(READY_SECONDS)
        figure(f"remit run in an empty folder: {first.seconds_to_ready:.1f} s to the table")
        the_table(said, terminal)
        the_commands(terminal, said)
        refused_and_asked_again(terminal)
        before = mailbox(terminal)
        assert first.interrupted(STOP_SECONDS) == 0
        assert first.said.rstrip().endswith("Stopped.")
        assert "Traceback" not in first.complained
    with RemitRun(terminal, "--port", port) as second:
        second.ready(READY_SECONDS)
        figure(f"remit run again: {second.seconds_to_ready:.1f} s to the table")
        time.sleep(2)
        nothing_twice(terminal, before)
        assert second.interrupted(STOP_SECONDS) == 0
    with RemitRun(terminal, "--port", port, "--processes") as apart:
        apart.ready(READY_SECONDS)
        assert json.loads((terminal.folder / ".remit" / "bus.json").read_text())["settled"] is False
        killed_and_started_again(terminal, "notifier-svc", int(port) + 2)
        nothing_twice(terminal, before)
        assert apart.interrupted(STOP_SECONDS) == 0


def test_the_first_day_over_kafka(terminal: Terminal, kafka_url: str, figure: Callable[[str], None]) -> None:
    """As `make run EVENTS_URL=kafka://...`: the same table, and a second start that sends nothing twice."""
    terminal.environment["EVENTS_URL"] = kafka_url
    port = str(free_ports())
    with RemitRun(terminal, "--port", port) as first:
        said = first.ready(READY_SECONDS)
        figure(f"remit run over Kafka in an empty folder: {first.seconds_to_ready:.1f} s to the table")
        the_table(said, terminal)
        before = mailbox(terminal)
        assert first.interrupted(STOP_SECONDS) == 0
        assert "Traceback" not in first.complained
    bus = json.loads((terminal.folder / ".remit" / "bus.json").read_text())
    assert (bus["url"], bus["settled"]) == (kafka_url, True)
    with RemitRun(terminal, "--port", port) as second:
        second.ready(READY_SECONDS)
        figure(f"remit run over Kafka again: {second.seconds_to_ready:.1f} s to the table")
        time.sleep(2)
        nothing_twice(terminal, before)
        assert second.interrupted(STOP_SECONDS) == 0


def the_table(said: str, terminal: Terminal) -> None:
    """What was sent to whom, when and why; what is planned; what waits; where to look."""
    for words in ("Sent: ", "Planned: ", "step ", "Waits for your approval: formal-demand", "/docs (invoice)"):
        assert words in said, said
    assert ".remit/mailbox" in said
    found = mailbox(terminal)
    assert len(found) > 50
    assert {path.suffix for path in (terminal.folder / ".remit" / "mailbox").iterdir()} >= {".eml", ".pdf", ".txt"}


def the_commands(terminal: Terminal, said: str) -> None:
    """The five work as printed, and show what they are there to show."""
    lines = commands(said)
    assert len(lines) == 5, said
    answers = [terminal.typed(line) for line in lines]
    for line, answer in zip(lines, answers, strict=True):
        assert answer.returncode == 0, f"{line}\n{answer.stdout}{answer.stderr}"
        assert answer.stdout.strip(), f"{line} said nothing"
    plan, why, approvals, pay, curl = (answer.stdout for answer in answers)
    assert any((terminal.folder / "out" / "plan").iterdir()), "the plan was rendered"
    assert "policy" in why
    assert "formal-demand" in approvals
    number = lines[3].split(" pay ")[1].split()[0]
    assert number in pay
    assert number not in {one["number"] for one in json.loads(curl)["data"]}, "what was just paid is not overdue"
    assert "step" in plan.lower()


def refused_and_asked_again(terminal: Terminal) -> None:
    """A demand a person rejects says why it waits, until a person has it asked for again."""
    found = re.search(r"[0-9a-f-]{36} +(\S+) .* formal-demand ", terminal.remit("approvals").stdout)
    assert found
    number = found[1]
    assert terminal.remit("reject", number, "--reason", "they will pay").returncode == 0
    assert "the rung was refused: they will pay; " in terminal.remit("why", number).stdout
    again = terminal.remit("reopen", number, "--reason", "they did not")
    assert (again.returncode, again.stdout.startswith(f"Re-opened: formal-demand of invoice {number}")) == (0, True)
    assert "they will pay" not in terminal.remit("why", number).stdout
    twice = terminal.remit("reopen", number, "--reason", "they did not")
    assert (twice.returncode, "it goes on by itself" in twice.stderr) == (2, True)


def mailbox(terminal: Terminal) -> dict[str, str]:
    """Per e-mail file the delivery it belongs to."""
    files = sorted((terminal.folder / ".remit" / "mailbox").glob("*.eml"))
    return {path.name: str(message_from_bytes(path.read_bytes(), policy=default)["X-Remit-Delivery"]) for path in files}


def nothing_twice(terminal: Terminal, before: dict[str, str]) -> None:
    """Every file is still there, none of their deliveries went again, and no touch went twice by one channel."""
    now = mailbox(terminal)
    assert before.items() <= now.items()
    assert [one for one, times in Counter(now.values()).items() if times > 1] == []
    running = json.loads((terminal.folder / ".remit" / "running.json").read_text())
    key = (terminal.folder / ".remit" / "key").read_text().strip()
    with httpx.Client(headers={"Authorization": f"Bearer {key}"}, trust_env=False) as client:
        url = f"{running['urls']['notifier-svc']}/v1/deliveries"
        touches: Counter[tuple[str, str]] = Counter()
        cursor: dict[str, str] = {}
        while cursor is not None:
            page = client.get(url, params={"limit": 200, "status": "sent", **cursor}).raise_for_status().json()
            touches.update((one["touch_id"], one["channel"]) for one in page["data"])
            if not page["next_cursor"]:
                break
            cursor = {"cursor": page["next_cursor"]}
    assert [one for one, times in touches.items() if times > 1] == []


def killed_and_started_again(terminal: Terminal, service: str, port: int) -> None:
    """With --processes a service that dies is started again by itself."""
    file = terminal.folder / ".remit" / "logs" / f"{service}.pid"
    pid = int(file.read_text())
    os.kill(pid, signal.SIGKILL)
    give_up = time.monotonic() + READY_SECONDS
    while int(file.read_text()) == pid or not is_ready(port):
        assert time.monotonic() < give_up, f"{service} did not come back"
        time.sleep(0.1)


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_a_port_in_use_is_one_line_and_exit_code_2(terminal: Terminal) -> None:
    port = free_ports()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + 2))
        taken.listen()
        done = terminal.remit("run", "--port", str(port))
    assert done.returncode == 2
    [line] = done.stderr.strip().splitlines()
    assert str(port + 2) in line
    assert "REMIT_PORT" in line


def test_a_second_run_in_the_same_folder_is_refused(terminal: Terminal) -> None:
    """Two of them would share databases and mailbox; the lock names the one that is there."""
    terminal.folder.joinpath(".remit").mkdir()
    lock = terminal.folder / ".remit" / "lock"
    with lock.open("a") as held:
        import fcntl

        fcntl.flock(held, fcntl.LOCK_EX)
        done = terminal.remit("run", "--port", str(free_ports()))
    assert done.returncode == 2
    [line] = done.stderr.strip().splitlines()
    assert "already runs" in line
