"""A service as processes: what they say when they cannot work, and how they end."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from remit_testing.ports import free_port
from remit_testing.service import make_settings

from remit_service import commands, migrations

APP = """
import asyncio
from remit_events.failures import StuckError
from remit_service.api import Router
from remit_service.app import create_app
from remit_service.database import Database
from remit_service.service import Service
from remit_service.settings import ServiceSettings

class Settings(ServiceSettings):
    port: int = 8001
    beat: str

class Beat:
    name, phase, poll = "beat", 0, 0.02
    def __init__(self, path): self.path = path
    async def run(self):
        if self.path.name == "stuck":
            raise StuckError("widget-svc: nothing was handled")
        self.path.write_text("beating")
        return 0
    async def next_at(self): return None
    async def close(self): self.path.write_text("closed")

async def build(settings, *, clock, bus, http=None):
    router = Router(prefix="/v1")
    @router.get("/slow")
    async def slow() -> dict[str, str]:
        await asyncio.sleep(1)
        return {"slow": "done"}
    db = Database(settings.database_url)
    app = create_app("widget-svc", db=db, clock=clock, settings=settings, routers=[router])
    from pathlib import Path
    return Service("widget-svc", settings, clock, db, bus, app, [Beat(Path(settings.beat))])
"""
MAIN = """
from remit_service.commands import main
from widget_svc.app import Settings, build
main("widget-svc", Settings, build)
"""
TABLES = "from sqlalchemy import MetaData\nmetadata = MetaData()\n"


@pytest.fixture(scope="module")
async def root(tmp_path_factory, make_database) -> AsyncIterator[Path]:
    root = tmp_path_factory.mktemp("widget-svc")
    source = root / "src" / "widget_svc"
    source.mkdir(parents=True)
    for name, content in (("__init__", ""), ("app", APP), ("__main__", MAIN), ("tables", TABLES)):
        (source / f"{name}.py").write_text(content)
    sys.path.insert(0, str(root / "src"))
    await migrations.revise(await make_database(), migrations.initialise("widget_svc"), "first")
    yield root
    sys.path.remove(str(root / "src"))


@dataclass
class Widget:
    """The service as a package, its environment, and its database and bus."""

    root: Path
    database: str
    bus: str

    @property
    def beat(self) -> Path:
        return self.root / "beat"

    def settings(self, **change: Any) -> Any:
        from widget_svc.app import Settings  # type: ignore[import-not-found]  # written by the fixture

        given = {"database_url": self.database, "events_url": self.bus, "beat": str(self.beat)}
        return make_settings(Settings, **(given | change))

    async def process(self, command: str, **change: Any) -> None:
        from widget_svc.app import build

        await commands.process(self.settings(**change), build, command)

    def environment(self, **change: str) -> dict[str, str]:
        given = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(self.root / "src"),
            "DATABASE_URL": self.database,
            "EVENTS_URL": self.bus,
            "SERVICE_KEY": "0123456789abcdef",
            "BEAT": str(self.beat),
        }
        return given | change


@pytest.fixture(scope="module")
async def widget(root, make_database) -> Widget:
    made = Widget(root, await make_database(), await make_database())
    await commands.migrate("widget-svc", made.settings())
    return made


async def until(url: str, status: int) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(20):
        while True:
            try:
                answer = await client.get(url)
                if answer.status_code == status:
                    return answer
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


NOWHERE = "postgresql+asyncpg://u@127.0.0.1:1/x"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"database_url": NOWHERE}, "DATABASE_URL: the database does not answer ("),
        ({"events_url": "kafka://127.0.0.1:1"}, "EVENTS_URL: the event bus does not answer ("),
        ({"events_url": NOWHERE}, "EVENTS_URL: the event bus does not answer ("),
    ],
)
async def test_a_peer_that_is_not_there_ends_the_process_with_a_way_out(widget, change, line):
    with pytest.raises(commands.NotThere) as ended:
        await widget.process("run", **change)
    assert str(ended.value).startswith(line)
    assert "\n" not in str(ended.value)
    with pytest.raises(commands.NotThere) as refused:
        await commands.migrate("widget-svc", widget.settings(**change))
    assert str(refused.value).startswith(line)


async def test_a_database_without_its_tables_says_which_command_makes_them(widget, make_database):
    with pytest.raises(commands.NotThere, match="run `widget-svc migrate` first"):
        await widget.process("run", database_url=await make_database())


async def test_a_worker_answers_probes_only(widget):
    port = free_port()
    running = asyncio.create_task(widget.process("worker", health_port=port))
    url = f"http://127.0.0.1:{port}"
    await until(f"{url}/readyz", 200)
    assert (await until(f"{url}/v1/slow", 404)).json()["type"] == "urn:remit:problem:no-such-route"
    await asyncio.sleep(0.1)
    assert widget.beat.read_text() == "beating"
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(running, 10)
    assert widget.beat.read_text() == "closed"


async def test_an_api_runs_no_tasks(widget):
    widget.beat.unlink(missing_ok=True)
    port = free_port()
    running = asyncio.create_task(widget.process("api", port=port))
    await until(f"http://127.0.0.1:{port}/readyz", 200)
    await asyncio.sleep(0.1)
    assert not widget.beat.exists()
    assert gc.get_freeze_count() > 10_000  # what the collector need not go through
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.wait_for(running, 10)
    assert gc.get_freeze_count() == 0


async def test_told_to_wait_it_stays_unready_until_its_peers_are_there(widget, make_database, monkeypatch):
    monkeypatch.setattr(commands, "RETRY_SECONDS", 0.05)
    port, database = free_port(), await make_database()
    late = {"database_url": database, "port": port, "wait_for_peers": True}
    running = asyncio.create_task(widget.process("run", **late))
    url = f"http://127.0.0.1:{port}"
    await until(f"{url}/livez", 200)
    await asyncio.sleep(0.3)
    assert "widget-svc migrate" in (await until(f"{url}/readyz", 503)).json()["detail"]
    await commands.migrate("widget-svc", widget.settings(**late))
    await until(f"{url}/readyz", 200)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(running, 10)


async def test_as_a_process_it_ends_with_one_line_and_exit_code_2(widget):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = await start("api", environment=widget.environment(PORT=port))
        said = (await asyncio.wait_for(process.communicate(), 30))[1].decode()
    assert process.returncode == 2
    in_use = f"PORT: cannot listen on 127.0.0.1:{port} (Address already in use); "
    assert said == in_use + "stop what uses it or choose another with PORT\n"


async def test_as_a_process_it_says_what_is_stuck_and_ends(widget):
    for words, said in ((["dlq", "list"], "There are no dead letters."), (["parked", "list"], "No event is parked.")):
        process = await start(*words, environment=widget.environment(), stdout=asyncio.subprocess.PIPE)
        assert (await asyncio.wait_for(process.communicate(), 30))[0].decode() == said + "\n"
        assert process.returncode == 0
    process = await start("dlq", "show", "7", environment=widget.environment())
    assert (await asyncio.wait_for(process.communicate(), 30))[1].decode() == "there is no dead letter 7\n"
    assert process.returncode == 2


async def test_as_a_process_it_ends_when_only_a_new_one_can_help(widget):
    process = await start("run", environment=widget.environment(PORT="0", BEAT=str(widget.root / "stuck")))
    said = (await asyncio.wait_for(process.communicate(), 30))[1].decode().splitlines()
    assert said[-1] == "widget-svc: nothing was handled; start it again"
    assert "Traceback" not in said
    assert process.returncode == 1


async def test_as_a_process_it_drains_requests_and_tasks_on_sigterm(widget):
    port = free_port()
    process = await start("run", environment=widget.environment(PORT=str(port)))
    url = f"http://127.0.0.1:{port}"
    await until(f"{url}/readyz", 200)
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        slow = asyncio.create_task(client.get(f"{url}/v1/slow"))
        await asyncio.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        assert (await slow).json() == {"slow": "done"}
    said = (await asyncio.wait_for(process.communicate(), 10))[1].decode()
    assert process.returncode == 0
    assert widget.beat.read_text() == "closed"
    assert all(json.loads(line)["event"] for line in said.splitlines())


async def start(*words: str, environment: dict[str, str], stdout: int | None = None) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "widget_svc", *words, env=environment, stdout=stdout, stderr=asyncio.subprocess.PIPE
    )
