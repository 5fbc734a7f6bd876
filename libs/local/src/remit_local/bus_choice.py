"""Which bus an installation runs on, under which topic names, and when it may move from one to another."""

from __future__ import annotations

import os
import secrets
from dataclasses import replace

from remit_events.bus import BusError
from remit_events.catalogue import TOPICS
from remit_local.errors import RefusedError
from remit_local.home import Home
from remit_local.installation import EVENTS_DATABASE, Installation
from remit_local.postgres import EmbeddedPostgres
from remit_local.system import System, bus_at, no_bus
from remit_service.wording import counted

BUS = "bus"
EMBEDDED = "embedded"
PREFIXES = "topic-prefixes"


async def with_topic_prefix(installation: Installation, home: Home) -> Installation:
    """With topic names of its own: as EVENTS_TOPIC_PREFIX says, else as chosen when this folder first met the bus.

    A folder that meets a broker on which another installation has its topics gets a prefix, kept from then on.
    """
    given = os.environ.get("EVENTS_TOPIC_PREFIX")
    if given is not None:
        return replace(installation, topic_prefix=given)
    known: dict[str, str] = home.note(PREFIXES) or {}
    url = installation.events_url
    if url.startswith("kafka") and url not in known:
        known[url] = "" if await _claimed(url) else f"r{secrets.token_hex(3)}."
        home.remember(PREFIXES, known)
    return replace(installation, topic_prefix=known.get(url, ""))


def where_events_are(home: Home, server: EmbeddedPostgres) -> tuple[str, str]:
    """URL and topic prefix of the bus an installation runs on: as EVENTS_URL says, else where it ran last."""
    url = os.environ.get("EVENTS_URL") or None
    noted: dict[str, str] = home.note(BUS) or {"url": EMBEDDED, "prefix": ""}
    prefix = os.environ.get("EVENTS_TOPIC_PREFIX")
    if url is None:
        url = server.url(EVENTS_DATABASE) if noted["url"] == EMBEDDED else noted["url"]
        return url, noted["prefix"] if prefix is None else prefix
    return url, (home.note(PREFIXES) or {}).get(url, "") if prefix is None else prefix


async def _claimed(url: str) -> bool:
    """Whether the topics' own names are this folder's from now on.

    That is who creates the first of them: the broker lets one do so, whoever else starts at the same moment.
    """
    bus = bus_at(url)
    try:
        if not url.startswith("kafka"):
            return True
        from remit_events.kafka_bus import KafkaBus  # with its client: not loaded where there is no broker

        assert isinstance(bus, KafkaBus)  # noqa: S101 - by its URL
        there = await bus.cluster.partitions()
        if any(topic.name in there for topic in TOPICS):
            return False
        return bool(await bus.cluster.create(TOPICS[:1], ""))
    except BusError as error:
        raise RefusedError(no_bus(url, error)) from None
    finally:
        await bus.close()


async def allow_move(installation: Installation, home: Home) -> None:
    """Raises RefusedError when this folder ran on another bus that still holds what nobody has read."""
    before = home.note(BUS)
    here = {"url": _kept_url(installation), "prefix": installation.topic_prefix}
    if before is None or before["settled"] or {name: before[name] for name in here} == here:
        return
    own = before["url"] == EMBEDDED
    bus = bus_at(installation.own_bus if own else before["url"], before["prefix"])
    try:
        left = sum([await bus.lag(group, topics) for group, topics in before["groups"].items()])
    except BusError:
        left = None
    finally:
        await bus.close()
    if left != 0:
        what = "may still hold events" if left is None else f"still holds {counted(left, 'event')}"
        start = "without EVENTS_URL" if own else f"with EVENTS_URL={before['url']}"
        raise RefusedError(
            f"the bus this folder ran on {what} nobody has read: start once more {start} and stop it with Ctrl-C, "
            "or choose another data folder with --data"
        )


def remember_bus(system: System, home: Home, *, settled: bool) -> None:
    """Notes where the events of this folder are; `settled`: none of them is still on its way."""
    groups = {consumer.name: list(consumer.topics) for consumer in system.consumers()}
    url, prefix = _kept_url(system.installation), system.installation.topic_prefix
    home.remember(BUS, {"url": url, "prefix": prefix, "groups": groups, "settled": settled})


def _kept_url(installation: Installation) -> str:
    """The folder may be moved, and its own bus with it."""
    return EMBEDDED if installation.events_url == installation.own_bus else installation.events_url
