"""`remit dlq`, `remit parked` and `remit replay` on an installation that does not run, wherever its events are."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from remit_testing.delivery import event, record
from sqlalchemy import text
from typer.testing import CliRunner, Result

from remit_events.bus import Delivered, open_bus
from remit_events.dead_letters import put_aside
from remit_events.outbox import emit
from remit_local.bus_choice import BUS
from remit_local.cli import add_commands
from remit_local.databases import database
from remit_local.home import Addresses, Home
from remit_local.installation import Installation
from remit_local.postgres import EmbeddedPostgres
from remit_local.system import prepare

NOW = datetime.now(UTC)
NOBODY = "kafka://127.0.0.1:1"
SERVICE = "scheduler-svc"


class Stopped:
    """An installation with a dead letter and an event the broker refused, both of scheduler-svc."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder).make()
        self.server = EmbeddedPostgres(self.home.postgres, durable=False)

    async def fill(self) -> None:
        await prepare(
            Installation.on(
                self.server, addresses=Addresses.from_environment(), service_key="x" * 16, mailbox=self.home.mailbox
            ),
            self.server,
        )
        one = record(uuid4(), 1)
        aside = Delivered.read(one.topic, 0, 7, one.key, one.value, one.headers)
        async with database(self.server, SERVICE) as db, db.transaction() as session:
            await put_aside(session, SERVICE, [(aside, "dead", "ValueError: no")], NOW)
            await emit(session, [event(uuid4(), 1), event(uuid4(), 2)], now=NOW)
            await session.execute(text("UPDATE outbox SET published_at = :now WHERE id = 1"), {"now": NOW})
            await session.execute(
                text("UPDATE outbox SET refused_at = :now, error = 'too large' WHERE id = 2"), {"now": NOW}
            )

    async def on_bus(self, database: str, prefix: str) -> int:
        """How many records there are in all."""
        bus = open_bus(self.server.url(database), prefix=prefix)
        try:
            await bus.ensure_topics()
            return sum((await bus.end_offsets([event(uuid4(), 1).topic])).values())
        finally:
            await bus.close()

    def noted(self, url: str, prefix: str = "") -> None:
        """As `remit run` leaves it when it is killed with events on their way."""
        self.home.remember(BUS, {"url": url, "prefix": prefix, "groups": {SERVICE: ["x"]}, "settled": False})

    def remit(self, *arguments: object, **environment: str) -> Result:
        environment = {"EVENTS_URL": "", "EVENTS_TOPIC_PREFIX": ""} | environment
        words = ["--data", str(self.home.folder), *(str(one) for one in arguments)]
        return CliRunner().invoke(add_commands(), words, env={k: v or None for k, v in environment.items()})


def wait(work: Coroutine[Any, Any, int | None]) -> Any:
    return asyncio.run(work)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stopped]:
    folder = tmp_path_factory.mktemp("letters")
    for parent in (folder, folder.parent):
        parent.chmod(0o755)  # PostgreSQL may drop to another user
    made = Stopped(folder / "data")
    with made.server:
        wait(made.fill())
        yield made


def test_letters_are_handled_while_the_bus_is_away_and_behind(stopped: Stopped) -> None:
    stopped.noted(NOBODY)
    for environment in ({}, {"EVENTS_URL": NOBODY}):
        listed = stopped.remit("dlq", "list", **environment)
        assert (listed.exit_code, "ValueError: no" in listed.stdout) == (0, True), listed.output
    assert "tried 1 times" in stopped.remit("dlq", "show", SERVICE, 1).stdout
    assert "1 dead letter would be tried again." in stopped.remit("dlq", "replay", SERVICE, 1, "--dry-run").stdout
    assert "1 dead letter discarded." in stopped.remit("dlq", "discard", SERVICE, 1, "--reason", "x").stdout
    refused = stopped.remit("dlq", "show", SERVICE, 9)
    assert (refused.exit_code, refused.stderr) == (2, f"{SERVICE}: there is no dead letter 9\n")


def test_parked_events_are_listed_and_published_again(stopped: Stopped) -> None:
    listed = stopped.remit("parked", "list").stdout
    assert "too large" in listed
    key = [word for word in listed.splitlines()[1].split() if len(word) == len(str(uuid4()))][-1]
    assert "1 event will be published again" in stopped.remit("parked", "retry", SERVICE, key).stdout
    assert stopped.remit("parked", "list").stdout == "There are no parked events.\n"
    assert stopped.remit("parked", "drop", SERVICE, uuid4(), "--reason", "x").exit_code == 2


def test_a_replay_goes_to_the_bus_the_installation_runs_on(stopped: Stopped) -> None:
    since = ("--since", NOW.date().isoformat())
    stopped.noted(NOBODY)
    refused = stopped.remit("replay", SERVICE, *since)
    assert (refused.exit_code, "the event bus at 127.0.0.1:1 does not answer" in refused.stderr) == (2, True)
    wait(stopped.server.create_databases("another"))
    assert wait(stopped.on_bus("another", "mine.")) == 0
    stopped.noted(stopped.server.url("another"), "mine.")
    said = stopped.remit("replay", SERVICE, *since)
    assert (said.exit_code, wait(stopped.on_bus("another", "mine."))) == (0, 1), said.output
    stopped.noted("embedded")
    said = stopped.remit("replay", SERVICE, *since)
    assert "1 event published again, on the embedded bus." in said.stdout
    assert wait(stopped.on_bus("remit_events", "")) == 1
