"""A crash while sending: what may have gone is unknown, what had not begun goes, and nothing goes twice."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from remit_testing.fixtures import MakeDatabase
from remit_testing.notifier import World, make_bus_database
from remit_testing.service import make_service_database
from remit_testing.smtp import MailServer

from notifier_svc import recovery as recovery_module
from notifier_svc import sending
from notifier_svc.providers import Outcome
from notifier_svc.recovery import CRASHED
from remit_events.notifications import ReminderSent, ReminderUnknown
from remit_service.clock import SimulatedClock


class Crash(BaseException):
    """Ends the process in a test that has only one."""


async def two_worlds(make_database: MakeDatabase, tmp_path: Path) -> tuple[World, World]:
    """Two processes of one service: same database, same bus, same mailbox."""
    url, bus = await make_service_database(make_database, "notifier_svc"), await make_bus_database(make_database)
    first = await World.on(url, bus, tmp_path)
    second = await World.on(url, bus, tmp_path, seller=first.seller)
    second.peers, second.clock = first.peers, first.clock
    return first, second


def also_known(second: World, first: World) -> None:
    """invoice-svc is one for both."""
    second.task("deliveries")._still_owed = first.task("deliveries")._still_owed


@pytest.mark.parametrize("point", ["sending-before-provider", "answered-before-sent"])
async def test_a_process_that_dies_while_sending_leaves_it_unknown(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    first, second = await two_worlds(make_database, tmp_path)
    also_known(second, first)
    customer = await first.customer()
    touch = await first.remind(customer, first.invoice(customer))

    def dies(service: str, name: str) -> None:
        if (service, name) == ("notifier-svc", point):
            raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(sending.faults, "point", dies)
        with pytest.raises(Crash):
            await first.settle()
    assert await second.statuses() == {"email": "sending"}
    await second.settle()
    assert await second.told(ReminderUnknown) == []  # it lives, so it may still say

    await first.task("deliveries")._worker.close()  # what its death does
    recovery: Any = second.task("recovery")
    recovery._looked_at = None
    await second.settle()
    [unknown] = await second.told(ReminderUnknown)
    assert (unknown.touch_id, unknown.reason) == (touch.touch_id, CRASHED)
    second.clock.set(second.clock.now() + timedelta(days=2))
    await second.settle()
    assert await second.told(ReminderSent) == []
    assert len(second.files()) == (1 if point == "answered-before-sent" else 0)
    for world in (first, second):
        await world.close()


async def test_a_database_that_commits_and_goes_away_leaves_nothing_in_sending(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark is there, but its commit was never answered: nobody sends it, though the process lives on."""
    world = await World.open(make_database, tmp_path)
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer))
    deliveries: Any = world.task("deliveries")
    mark = deliveries._mark

    async def unanswered(*given: Any) -> Any:
        await mark(*given)
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr(deliveries, "_mark", unanswered)
        with pytest.raises(ConnectionResetError):
            await world.settle()
    assert await world.statuses() == {"email": "sending"}
    await deliveries._worker.close()  # the lock's connection is lost too
    await deliveries._worker.alive()  # and taken again before anybody looks
    recovery: Any = world.task("recovery")
    recovery._looked_at = None
    await world.settle()
    assert await world.statuses() == {"email": "unknown"}
    assert world.files() == []
    await world.close()


async def test_a_clock_that_is_ahead_takes_nothing_that_is_on_its_way_for_forgotten(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an hour; but what it has itself seen on its way for long was."""
    first, second = await two_worlds(make_database, tmp_path)
    also_known(second, first)
    customer = await first.customer()
    await first.remind(customer, first.invoice(customer))
    recovery: Any = second.task("recovery")
    recovery._clock = ahead = SimulatedClock(first.clock.now() + timedelta(hours=1))

    async def looked() -> None:
        recovery._looked_at = None
        await recovery.run()

    async def send(*_: Any) -> Outcome:
        await looked()
        assert await second.statuses() == {"email": "sending"}
        ahead.set(ahead.now() + recovery_module.STALE)
        await looked()
        assert await second.statuses() == {"email": "unknown"}
        return Outcome.sent("after all")

    monkeypatch.setattr(first.task("deliveries")._planner._ways.mailbox, "send", send)
    await first.settle()
    assert await first.statuses() == {"email": "sent"}
    for world in (first, second):
        await world.close()


async def test_a_crash_leaves_no_more_unknown_than_was_on_its_way(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await two_worlds(make_database, tmp_path)
    also_known(second, first)
    customer = await first.customer()
    await first.publish(*(first.due(customer, first.invoice(customer)) for _ in range(60)))
    first.task("deliveries")._planner._ways.mailbox.at_once = 4
    reached = 0

    def dies(service: str, name: str) -> None:
        nonlocal reached
        reached += name == "answered-before-sent"
        if reached == 30:
            raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(sending.faults, "point", dies)
        with pytest.raises(Crash):
            await first.settle()
    await first.task("deliveries")._worker.close()
    second.task("recovery")._looked_at = None
    second.task("deliveries").nudge()
    await second.settle()
    assert 1 <= len(await second.told(ReminderUnknown)) <= 4
    assert len(await second.told(ReminderSent)) + len(await second.told(ReminderUnknown)) == 60
    assert len(second.files()) <= 60
    for world in (first, second):
        await world.close()


async def test_a_database_that_is_away_for_a_moment_leaves_nothing_unknown(
    open_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with MailServer(delay=0.3) as server:
        given = {"smtp_host": "127.0.0.1", "smtp_port": server.port, "smtp_security": "none", "smtp_connections": 2}
        world = await open_world(delivery_mode="allowlist", allowlist="@muster.example", **given)
        customer = await world.customer()
        await world.publish(*(world.due(customer, world.invoice(customer)) for _ in range(3)))
        await world.task("notifier-svc").run()
        server.script("DATA", "ok", "slow")
        deliveries = world.task("deliveries")
        mark, portions = deliveries._marked, 0

        async def away(batch: Any, plans: Any) -> Any:
            nonlocal portions
            portions += 1
            if portions == 2:
                raise ConnectionResetError
            return await mark(batch, plans)

        monkeypatch.setattr(deliveries, "_marked", away)
        with pytest.raises(ConnectionResetError):
            await deliveries.run()
        assert len(server.messages) == 2
        rows = await world.rows("SELECT status FROM delivery ORDER BY status")
        assert [row.status for row in rows] == ["pending", "sent", "sent"]


async def test_a_claim_of_a_dead_process_goes_to_the_next_at_once(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await two_worlds(make_database, tmp_path)
    also_known(second, first)
    customer = await first.customer()
    await first.remind(customer, first.invoice(customer))

    async def dies(batch: object) -> None:
        raise Crash

    monkeypatch.setattr(first.task("deliveries"), "_decided", dies)
    with pytest.raises(Crash):
        await first.settle()
    await second.settle()
    assert await second.statuses() == {"email": "pending"}
    await first.task("deliveries")._worker.close()
    second.task("recovery")._looked_at = None
    second.task("deliveries").nudge()
    await second.settle()
    assert await second.statuses() == {"email": "sent"}
    for world in (first, second):
        await world.close()


async def test_the_one_who_knows_has_the_last_word(world: World) -> None:
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer))
    deliveries: Any = world.task("deliveries")
    record = deliveries._record

    async def declared_dead_first(done: Any) -> int:
        await world.execute("UPDATE delivery SET worker = -1")
        world.task("recovery")._looked_at = None
        await world.task("recovery").run()
        return int(await record(done))

    deliveries._record = declared_dead_first
    try:
        await world.settle()
    finally:
        del deliveries._record
    assert await world.all_told() == ["ReminderUnknown", "ReminderSent"]
    assert await world.statuses() == {"email": "sent"}


async def test_a_worker_takes_its_lock_again_when_its_connection_is_lost(world: World) -> None:
    await world.settle()
    worker: Any = world.task("deliveries")._worker
    await worker.alive()
    await world.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = :id", id=worker.id
    )
    await worker.check()
    await worker.alive()
    [row] = await world.rows(
        "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND objid = :id AND granted", id=worker.id
    )
    assert row.n == 1


async def test_results_survive_a_database_that_is_away_for_a_moment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from notifier_svc import results

    customer = await world.customer()
    await world.remind(customer, world.invoice(customer))
    record, failures = results.record, [ConnectionResetError(), TimeoutError()]

    async def away(*given: Any) -> int:
        if failures:
            raise failures.pop()
        return await record(*given)

    monkeypatch.setattr(results, "record", away)
    await world.settle()
    assert await world.statuses() == {"email": "sent"}
    assert len(world.files()) == 1
