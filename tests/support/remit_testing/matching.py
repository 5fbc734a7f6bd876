"""Every row of messages.csv against what the four databases and the mailbox hold, one to one and both ways."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import asyncpg

from remit_local.home import SERVICES
from remit_local.installation import database_of
from remit_local.postgres import EmbeddedPostgres
from remit_testing.ledger_oracle import rows

FOLLOW_UP = ("upcoming", "due", "overdue", "demand")

_DELIVERIES = """
SELECT delivery.id, delivery.touch_id, delivery.sent_at, delivery.channel, delivery.provider_id, touch.stage,
       touch.step, customer.snapshot ->> 'external_id' AS customer, content.subject, content.items, content.text,
       content.sms
FROM delivery JOIN touch ON touch.id = delivery.touch_id JOIN customer ON customer.id = delivery.customer_id
JOIN content ON content.touch_id = delivery.touch_id AND content.digest = delivery.digest
WHERE delivery.status = 'sent'
"""
_CAUSES = """
SELECT event_id, type, payload, published_at FROM outbox
WHERE type IN ('com.remit.payment.due.v1', 'com.remit.invoice.issued.v1', 'com.remit.payment.received.v1')
"""
_HAD = "SELECT event_id FROM inbox WHERE consumer = 'notifier-svc'"


@dataclass(frozen=True, slots=True)
class Cause:
    """The event that asked for a touch."""

    event_id: UUID
    type: str
    published: bool
    numbers: frozenset[str]


@dataclass
class Kept:
    """What a simulation left: deliveries that were sent, events that ask for messages, what notifier-svc has had."""

    deliveries: list[Mapping[str, Any]]
    causes: dict[UUID, list[Cause]]
    had: set[UUID]
    mailbox: Path

    @classmethod
    async def read(cls, server: EmbeddedPostgres, mailbox: Path) -> Kept:
        found: dict[UUID, list[Cause]] = defaultdict(list)
        for service in SERVICES:
            for row in await _fetch(server, service, _CAUSES):
                touch, cause = _cause(row)
                found[touch].append(cause)
        deliveries = await _fetch(server, "notifier-svc", _DELIVERIES)
        had = {row["event_id"] for row in await _fetch(server, "notifier-svc", _HAD)}
        return cls(deliveries, dict(found), had, mailbox)


async def _fetch(server: EmbeddedPostgres, service: str, statement: str) -> list[Mapping[str, Any]]:
    connection = await asyncpg.connect(server.url(database_of(service)).replace("+asyncpg", ""))
    try:
        found: list[Mapping[str, Any]] = await connection.fetch(statement)
        return found
    finally:
        await connection.close()


def _cause(row: Mapping[str, Any]) -> tuple[UUID, Cause]:
    """The touch an event asks for (as docs/events says it is named), and the event."""
    data = json.loads(row["payload"])
    if "touch_id" in data:
        touch, numbers = UUID(data["touch_id"]), [item["invoice"]["number"] for item in data["items"]]
    elif "payment_id" in data:
        touch = uuid5(UUID(data["payment_id"]), "thanks")
        numbers = [one["invoice"]["number"] for one in data["allocations"]]
    else:
        touch, numbers = uuid5(UUID(data["invoice"]["id"]), "invoice"), [data["invoice"]["number"]]
    return touch, Cause(row["event_id"], row["type"], row["published_at"] is not None, frozenset(numbers))


def faults(out: Path, kept: Kept) -> list[str]:
    """What does not match, one line each; empty when all does."""
    found: list[str] = []
    open_ = defaultdict(list)
    for delivery in kept.deliveries:
        open_[_key_of_delivery(delivery)].append(delivery)
    for row in rows(out / "messages.csv"):
        candidates = open_.get(_key_of_row(row), [])
        if not candidates:
            found.append(f"no delivery for {_key_of_row(row)}")
            continue
        found += _unlike(row, candidates.pop(), kept)
    found += [f"a delivery without its row: {key}" for key, left in open_.items() for _ in left]
    found += _unanswered(kept)
    found += _mailbox(kept)
    return found


def _key_of_row(row: Mapping[str, str]) -> tuple[object, ...]:
    moment = datetime.fromisoformat(row["sent_at"])
    numbers = tuple(row["invoice_numbers"].split(";"))
    return (moment, row["customer_id"], row["channel"], row["stage"], row["step"], numbers)


def _key_of_delivery(one: Mapping[str, Any]) -> tuple[object, ...]:
    numbers = tuple(item["invoice"]["number"] for item in json.loads(one["items"]))
    return (one["sent_at"], one["customer"], one["channel"], one["stage"], one["step"], numbers)


def _unlike(row: Mapping[str, str], delivery: Mapping[str, Any], kept: Kept) -> list[str]:
    """What the row says against the rendering, the event behind it, its inbox row and the file."""
    name = f"{row['sent_at']} {row['customer_id']} {row['channel']} {row['step']} {row['invoice_numbers']}"
    found = []
    items = json.loads(delivery["items"])
    amounts = ";".join(str(item["amount_minor"]) for item in items)
    if (row["subject"], row["amounts_minor"]) != (delivery["subject"], amounts):
        found.append(f"{name}: the rendering says another subject or other amounts")
    said = delivery["sms"] if row["channel"] == "sms" else delivery["text"]
    found += [f"{name}: {one} is not in the text" for one in _lead(row) if one not in said]
    causes = kept.causes.get(delivery["touch_id"], [])
    if not causes:
        found.append(f"{name}: no event in an outbox asked for it")
    for cause in causes:
        found += _not_the_cause(name, row, cause, kept)
    if not (kept.mailbox / delivery["provider_id"]).is_file():
        found.append(f"{name}: no file {delivery['provider_id']} in the mailbox")
    return found


def _lead(row: Mapping[str, str]) -> list[str]:
    """The invoices a text must name: an SMS has room for the leading one only."""
    numbers = row["invoice_numbers"].split(";")
    return numbers[:1] if row["channel"] == "sms" else numbers


def _not_the_cause(name: str, row: Mapping[str, str], cause: Cause, kept: Kept) -> list[str]:
    kind = {"invoice": "com.remit.invoice.issued.v1", "thanks": "com.remit.payment.received.v1"}
    found = []
    if cause.type != kind.get(row["stage"], "com.remit.payment.due.v1"):
        found.append(f"{name}: asked for by {cause.type}")
    if not set(row["invoice_numbers"].split(";")) <= cause.numbers:
        found.append(f"{name}: its event names other invoices")
    if not cause.published:
        found.append(f"{name}: its event was not published")
    if cause.event_id not in kept.had:
        found.append(f"{name}: its event is not in notifier-svc's inbox")
    return found


def _unanswered(kept: Kept) -> list[str]:
    """Every follow-up that was asked for reached notifier-svc."""
    asked = [one for causes in kept.causes.values() for one in causes if one.type == "com.remit.payment.due.v1"]
    lost = [one for one in asked if not one.published or one.event_id not in kept.had]
    return [f"{len(lost)} of {len(asked)} steps that were due never reached notifier-svc"] if lost else []


def _mailbox(kept: Kept) -> list[str]:
    """Every file is a delivery's, and every e-mail names it and says its subject."""
    by_file = {one["provider_id"]: one for one in kept.deliveries}
    files = {path.name for path in kept.mailbox.iterdir() if path.is_file() and path.suffix != ".json"}
    found = [f"{name} in the mailbox is no delivery's" for name in sorted(files - by_file.keys())]
    for name in sorted(files & by_file.keys()):
        if name.endswith(".eml"):
            mail = message_from_bytes((kept.mailbox / name).read_bytes(), policy=default)
            wanted = (str(by_file[name]["id"]), by_file[name]["subject"])
            if (str(mail["X-Remit-Delivery"]), str(mail["Subject"])) != wanted:
                found.append(f"{name} says another delivery or subject")
    return found


def by_stage(out: Path) -> Counter[str]:
    return Counter(row["stage"] for row in rows(out / "messages.csv"))
