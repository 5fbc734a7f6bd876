"""The reckoning at the end of every crash can fail: whatever is lost, doubled or stale is named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
from remit_testing.fixtures import MakeDatabase
from remit_testing.reckoning import reckon
from remit_testing.scene import Scene, scene
from remit_testing.stores import Stores

SETTLE_SECONDS = 90.0


@dataclass(frozen=True)
class Wrong:
    """What is done to a ledger, or to one row of a table of `service`, and what is to be said of it."""

    said: str
    done: Callable[[Scene], object] | None = None
    service: str = ""
    change: str = ""
    table: str = ""
    where: str = "true"

    @property
    def statement(self) -> str:
        row = f"SELECT tableoid, ctid FROM {self.table} WHERE {self.where} LIMIT 1"  # noqa: S608  # written below
        return f"{self.change} WHERE (tableoid, ctid) = ({row})"


def row(said: str, service: str, change: str, table: str, where: str = "true") -> Wrong:
    return Wrong(said, None, service, change, table, where)


SENT = "status = 'sent' AND channel = "
WRONG = (
    row("events missing in the timeline", "invoice-svc", "DELETE FROM timeline_entry", "timeline_entry"),
    row("timeline rows nobody emitted", "notifier-svc", "DELETE FROM outbox", "outbox"),
    row(
        "scheduler-svc: not the newest invoice",
        "scheduler-svc",
        "UPDATE follow_up SET version = version - 1",
        "follow_up",
    ),
    row("escalation-svc: not the newest customer", "escalation-svc", "UPDATE customer SET version = 0", "customer"),
    row("payments lost", "invoice-svc", "UPDATE payment SET reference = 'x'", "payment"),
    row("balances", "invoice-svc", "UPDATE invoice SET disputed_minor = 0, balance_minor = 1", "invoice"),
    Wrong("invoices lost or doubled", lambda on: on.traffic.fresh.popitem()),
    row(
        "touches without one ended delivery",
        "notifier-svc",
        "UPDATE delivery SET status = 'pending'",
        "delivery",
        f"{SENT} 'email'",
    ),
    row(
        "reminders that did not end",
        "notifier-svc",
        "UPDATE delivery SET status = 'sending'",
        "delivery",
        "touch_id IN (SELECT id FROM touch WHERE stage = 'overdue')",
    ),
    Wrong("messages nobody asked for", lambda on: on.traffic.paid.popitem()),
    row("steps without their one end", "scheduler-svc", "DELETE FROM decision", "decision", "outcome = 'sent'"),
    Wrong("sent twice", lambda on: on.peer.ledger.append(on.peer.ledger[0])),
    Wrong("messages of no delivery", lambda on: on.peer.ledger.append(replace(on.peer.ledger[0], delivery_id="x"))),
    row(
        "deliveries that are not what the server took",
        "notifier-svc",
        "UPDATE delivery SET status = 'failed'",
        "delivery",
        f"{SENT} 'email'",
    ),
    Wrong("texts sent twice", lambda on: on.twilio.messages.append(replace(on.twilio.messages[0], sid="again"))),
    row(
        "texts Twilio has of no delivery",
        "notifier-svc",
        "UPDATE delivery SET status = 'unknown'",
        "delivery",
        f"{SENT} 'sms'",
    ),
    Wrong("texts sent that Twilio does not have", lambda on: on.twilio.messages.clear()),
    Wrong("approvals without their rung", lambda on: on.traffic.approved.append("x")),
)


async def test_what_is_wrong_is_named(make_database: MakeDatabase, tmp_path: Path) -> None:
    async with scene(make_database, tmp_path) as on:
        async with on.busy():
            await asyncio.sleep(3)
        await on.reckoned(SETTLE_SECONDS)
        await asyncio.to_thread(on.running.stop)
        async with Stores(on.installation) as stores:
            for wrong in WRONG:
                before = (await reckon(stores, on.traffic, on.peer, on.twilio)).faults
                await _do(on, wrong)
                after = (await reckon(stores, on.traffic, on.peer, on.twilio)).faults
                new = [fault for fault in after if fault not in before]
                assert any(fault.startswith(wrong.said) for fault in new), f"{wrong.said}: {new}"


async def _do(on: Scene, wrong: Wrong) -> None:
    if wrong.done:
        wrong.done(on)
        return
    connection = await asyncpg.connect(on.installation.databases[wrong.service].replace("+asyncpg", ""))
    try:
        assert await connection.execute(wrong.statement) in ("UPDATE 1", "DELETE 1")
    finally:
        await connection.close()
