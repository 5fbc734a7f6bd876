"""Under which topic names an installation runs when several share a broker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from remit_events.catalogue import TOPICS
from remit_events.kafka_bus import KafkaBus
from remit_local.bus_choice import with_topic_prefix
from remit_local.home import Addresses, Home
from remit_local.installation import Installation
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
