"""`dlq` and `parked` of a service: what a person is shown, and what becomes of what they decide."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from remit_testing.delivery import event, record
from sqlalchemy import text

from remit_events import dead_letters
from remit_events.bus import Delivered
from remit_events.dead_letters import put_aside
from remit_events.outbox import emit
from remit_events.tables import metadata
from remit_service.database import Database
from remit_service.one_shot import Refused
from remit_service.stuck_commands import COMMANDS

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
async def db(make_database: Any) -> Any:
    opened = Database(await make_database(), pool_size=2, overflow=20)
    async with opened.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield opened
    await opened.close()


async def do(db: Database, *arguments: str) -> list[str]:
    """What the command says, as `python -m X_svc ARGUMENTS` would."""
    (command,) = (one for one in COMMANDS if one.name == arguments[0])
    parser = ArgumentParser()
    command.declare(parser)
    return list(await command.work(db, None, parser.parse_args(arguments[1:])))


async def letters(db: Database, count: int) -> None:
    customer = uuid4()
    given = [record(customer, number) for number in range(count)]
    aside = [Delivered.read(one.topic, 0, n, one.key, one.value, one.headers) for n, one in enumerate(given)]
    async with db.transaction() as session:
        await put_aside(session, "widget", [(one, "dead", "ValueError: no\nmore") for one in aside], NOW)


async def test_dead_letters_are_listed_shown_replayed_and_discarded(db: Database) -> None:
    assert await do(db, "dlq", "list") == ["There are no dead letters."]
    await letters(db, 2)
    head, first, _ = await do(db, "dlq", "list")
    assert head.split() == ["id", "status", "consumer", "type", "at", "error"]
    assert first.startswith("1   dead    widget    com.remit.reply.received.v1")
    assert first.endswith("2026-03-02 09:00:00Z  ValueError: no")
    assert await do(db, "dlq", "replay", "1", "2", "--dry-run") == ["2 dead letters would be tried again."]
    assert await do(db, "dlq", "replay", "1", "--by", "ann") == ["1 dead letter will be tried again."]
    assert await do(db, "dlq", "discard", "2", "--reason", "a test", "--by", "ann") == ["1 dead letter discarded."]
    async with db.transaction() as session:
        one, two = [await dead_letters.show(session, number) for number in (1, 2)]
    assert one
    assert two
    assert [(n.status, n.history[0]["by"], n.history[0]["reason"]) for n in (one, two)] == [
        ("retry", "ann", ""),
        ("discarded", "ann", "a test"),
    ]
    assert len(await do(db, "dlq", "list")) == 2
    assert len(await do(db, "dlq", "list", "--all")) == 3
    shown = await do(db, "dlq", "show", "2")
    assert shown[1].startswith("tried 1 times: ValueError")
    assert shown[-1].startswith("{")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["dlq", "show", "7"], "there is no dead letter 7"),
        (["dlq", "replay", "1", "7"], "no dead letter 7"),
        (["dlq", "replay", "1", "--rate", "0"], "rate: give more than 0 per second"),
        (["dlq", "discard", "1", "--reason", " "], "reason: say why the event may be dropped"),
        (["parked", "retry", "nobody"], "no event of nobody is parked"),
        (["parked", "drop", str(uuid4()), "--reason", "x"], "only 0 of 1 are parked here: nothing was dropped"),
    ],
)
async def test_what_cannot_be_done_is_said_in_one_line(db: Database, arguments: list[str], line: str) -> None:
    await letters(db, 1)
    with pytest.raises(Refused) as refused:
        await do(db, *arguments)
    assert str(refused.value) == line


async def test_parked_events_are_listed_retried_by_key_and_dropped(db: Database) -> None:
    assert await do(db, "parked", "list") == ["No event is parked."]
    ann, bob = uuid4(), uuid4()
    async with db.transaction() as session:
        await emit(session, [event(ann, 1), event(ann, 2), event(bob, 1)], now=NOW)
        refused = text("UPDATE outbox SET refused_at = :now, error = 'too large' RETURNING event_id, key")
        ids = [str(row.event_id) for row in await session.fetch(refused, {"now": NOW})]
    listed = await do(db, "parked", "list")
    assert [line.split()[0] for line in listed] == ["event", *ids]
    with pytest.raises(Refused):
        await do(db, "parked", "drop", ids[2], str(uuid4()), "--reason", "one of them is not ours")
    assert len(await do(db, "parked", "list")) == 4
    assert "1 event dropped" in (await do(db, "parked", "drop", ids[0], "--reason", "never needed"))[0]
    assert await do(db, "parked", "retry", str(ann)) == ["1 event will be published again, in order."]
    async with db.reading() as session:
        left = text("SELECT event_id, published_at, refused_at FROM outbox ORDER BY id")
        rows = [tuple(map(bool, row[1:])) for row in await session.fetch(left, {})]
    assert rows == [(True, True), (False, False), (False, True)]
