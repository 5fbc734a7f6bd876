"""kill -9 of `remit run`, in the time-lapse and live: its processes go with it, and the next start goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
from remit_testing.ports import free_ports
from remit_testing.terminal import RemitRun, Terminal

from remit_local import live

READY_SECONDS = 90.0


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with TemporaryDirectory(prefix="remit-killed-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Terminal(Path(folder))


def until(done: Callable[[], object], seconds: float = READY_SECONDS) -> None:
    give_up = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def mails(terminal: Terminal) -> Counter[str]:
    """How often each delivery lies in the mailbox."""
    files = (terminal.folder / ".remit" / "mailbox").glob("*.eml")
    return Counter(str(message_from_bytes(path.read_bytes(), policy=default)["X-Remit-Delivery"]) for path in files)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_killed_while_the_sample_plays_and_live(terminal: Terminal) -> None:
    port = str(free_ports())
    with RemitRun(terminal, "--port", port) as playing:
        until(lambda: len(mails(terminal)) > 30)
        assert "Remit is running" not in playing.said
        playing.killed()
    with RemitRun(terminal, "--port", port) as going_on:
        going_on.ready(READY_SECONDS)
        sent = mails(terminal)
        assert len(sent) > 100
        going_on.killed()
    with RemitRun(terminal, "--port", port) as again:
        again.ready(READY_SECONDS)
        assert again.interrupted(30) == 0
    assert mails(terminal) == sent
    assert set(sent.values()) == {1}, "a delivery left twice"


def test_its_processes_go_with_it(terminal: Terminal) -> None:
    port = str(free_ports())
    with RemitRun(terminal, "--no-sample", "--processes", "--port", port) as running:
        running.ready(READY_SECONDS)
        pids = [int(file.read_text()) for file in (terminal.folder / ".remit" / "logs").glob("*.pid")]
        assert len(pids) == 4
        assert all(is_alive(pid) for pid in pids)
        os.kill(pids[0], signal.SIGSTOP)  # one that is stuck goes too
        running.killed()
        until(lambda: not any(is_alive(pid) for pid in pids), seconds=5)
    with RemitRun(terminal, "--no-sample", "--processes", "--port", port) as again:
        again.ready(READY_SECONDS)
        assert again.interrupted(60) == 0


async def test_the_pause_before_a_restart_is_short_again_after_a_good_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that dies at once four times, then lives for a while."""
    package, times = tmp_path / "dying_svc", tmp_path / "times"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        "import time\n"
        f"with open({str(times)!r}, 'a+') as file:\n"
        "    file.seek(0)\n"
        "    lives = len(file.readlines()) // 2\n"
        "    print(time.time(), file=file, flush=True)\n"
        "    time.sleep(1.5 if lives == 3 else 0)\n"
        "    print(time.time(), file=file)\n"
    )
    for name, value in {"SHORTEST_PAUSE": 0.3, "LONGEST_PAUSE": 30.0, "WELL_SECONDS": 1.4}.items():
        monkeypatch.setattr(live, name, value)
    installation = SimpleNamespace(environment=lambda _: {"PYTHONPATH": str(tmp_path)})
    stop = asyncio.Event()
    running = asyncio.create_task(live._keep_running(installation, "dying-svc", tmp_path / "log", stop))
    await asyncio.to_thread(until, lambda: times.exists() and len(times.read_text().split()) >= 10)
    stop.set()
    await running
    at = [float(one) for one in times.read_text().split()[:10]]
    pauses = [begun - ended for ended, begun in zip(at[1::2], at[2::2], strict=False)]
    assert pauses[0] > 0.3
    assert pauses[2] > 1.2, "doubled twice"
    assert pauses[3] < pauses[2] - 0.3, "short again"
