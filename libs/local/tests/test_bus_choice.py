"""On which bus an installation runs, under which topic names, and when it may move to another."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from remit_testing.delivery import record
from remit_testing.fixtures import MakeDatabase
from remit_testing.notifier import make_bus_database
from remit_testing.ports import free_port
from uuid6 import uuid7

from remit_events.bus import open_bus
from remit_events.catalogue import TOPICS
from remit_events.kafka_bus import KafkaBus
from remit_local.bus_choice import BUS, EMBEDDED, PREFIXES, allow_move, where_events_are, with_topic_prefix
from remit_local.errors import RefusedError
from remit_local.home import Addresses, Home
from remit_local.installation import EVENTS_DATABASE, Installation
from remit_local.postgres import EmbeddedPostgres
from remit_local.system import bus_at


def installation(folder: Path, url: str) -> Installation:
    return Installation.on(
        EmbeddedPostgres(folder / "postgres"),
        addresses=Addresses.from_environment(),
        service_key="a-key-of-16-or-more",
        mailbox=folder,
        events_url=url,
    )


async def unclaimed(url: str) -> bool:
    bus = bus_at(url)
    assert isinstance(bus, KafkaBus)
    try:
        return not {topic.name for topic in TOPICS} & set(await bus.cluster.partitions())
    finally:
        await bus.close()


@pytest.mark.kafka
async def test_folders_that_start_at_once_on_an_empty_broker_share_nothing(kafka_url: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    homes = [Home(tmp_path / str(number)) for number in range(4)]
    for home in homes:
        home.folder.mkdir()
        home.folder.chmod(0o755)
    expected = await unclaimed(kafka_url)
    made = [installation(home.folder, kafka_url) for home in homes]
    chosen = [one.topic_prefix for one in await asyncio.gather(*map(with_topic_prefix, made, homes))]
    assert len(set(chosen)) == len(homes)
    assert ("" in chosen) == expected, "the first has the names without a prefix"
    again = [one.topic_prefix for one in await asyncio.gather(*map(with_topic_prefix, made, homes))]
    assert again == chosen


async def test_the_environment_has_the_last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTS_TOPIC_PREFIX", "mine.")
    made = installation(tmp_path, "kafka://127.0.0.1:9")
    assert (await with_topic_prefix(made, Home(tmp_path))).topic_prefix == "mine."


KAFKA = "kafka://127.0.0.1:9"


async def test_a_bus_nobody_else_names_its_topics_on_needs_no_prefix(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert (await with_topic_prefix(installation(tmp_path, "postgresql://127.0.0.1/events"), home)).topic_prefix == ""
    assert home.note(PREFIXES) is None


@pytest.fixture
def server(tmp_path: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(tmp_path / "postgres")


def test_events_are_where_they_were_last_unless_the_environment_says_otherwise(
    server: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    monkeypatch.delenv("EVENTS_URL", raising=False)
    own = server.url(EVENTS_DATABASE)
    assert where_events_are(home, server) == (own, "")
    home.remember(BUS, {"url": KAFKA, "prefix": "r1.", "groups": {}, "settled": True})
    assert where_events_are(home, server) == (KAFKA, "r1.")
    home.remember(PREFIXES, {"kafka://elsewhere:9092": "r2."})
    monkeypatch.setenv("EVENTS_URL", "kafka://elsewhere:9092")
    assert where_events_are(home, server) == ("kafka://elsewhere:9092", "r2.")
    monkeypatch.setenv("EVENTS_TOPIC_PREFIX", "mine.")
    assert where_events_are(home, server) == ("kafka://elsewhere:9092", "mine.")


class Folder:
    """A data folder that ran on a bus of its own, with one group of readers, and stopped."""

    group = "readers"

    def __init__(self, folder: Path, own_bus: str) -> None:
        self.home = Home(folder)
        self.own_bus = own_bus
        self.topic = record(uuid7(), 1).topic

    async def tell(self) -> None:
        """One event that the group has not read."""
        bus = open_bus(self.own_bus)
        await bus.publish([record(uuid7(), 1)])
        await bus.close()

    def ran_on(self, url: str, **note: Any) -> None:
        self.home.remember(
            BUS, {"url": url, "prefix": "", "groups": {self.group: [self.topic]}, "settled": False} | note
        )

    async def move(self, url: str | None = KAFKA) -> None:
        made = replace(installation(self.home.folder, KAFKA), own_bus=self.own_bus, events_url=url or self.own_bus)
        await allow_move(made, self.home)


@pytest.fixture
async def folder(make_database: MakeDatabase, tmp_path: Path) -> Folder:
    return Folder(tmp_path, await make_bus_database(make_database))


async def test_a_folder_moves_once_nothing_is_left_to_read(folder: Folder) -> None:
    await folder.move()  # it never ran
    folder.ran_on(EMBEDDED)
    await folder.move()
    await folder.tell()
    with pytest.raises(RefusedError, match=r"still holds 1 event .* without EVENTS_URL"):
        await folder.move()
    await folder.move(None)  # it stays
    folder.ran_on(EMBEDDED, settled=True)
    await folder.move()


async def test_a_bus_that_cannot_be_asked_may_hold_something(folder: Folder) -> None:
    gone = f"kafka://127.0.0.1:{free_port()}"
    folder.ran_on(gone)
    with pytest.raises(RefusedError, match=f"may still hold events .* with EVENTS_URL={gone}"):
        await folder.move(None)
    await folder.move(gone)


async def test_other_topic_names_are_another_bus(folder: Folder) -> None:
    await folder.tell()
    folder.ran_on(EMBEDDED, prefix="r1.")
    await folder.move()  # nothing there under the names it had
    folder.ran_on(EMBEDDED)
    with pytest.raises(RefusedError, match="still holds"):
        await folder.move()
