"""What a simulation left behind, read from the services' own APIs: deliveries, decisions, events, invoices.

Messages come from notifier-svc (/v1/deliveries), decisions from scheduler-svc (/v1/decisions), escalations from the
event feed of invoice-svc (/v1/events), invoices, customers and payments from invoice-svc.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from remit_local.client import readable
from remit_local.errors import RefusedError
from remit_local.figures import Settlement
from remit_local.outputs import LoggedDecision, SentMessage, TakenRung
from remit_local.system import System
from remit_service.zones import zones_of


@dataclass(frozen=True)
class Harvest:
    messages: list[SentMessage]
    decisions: list[LoggedDecision]
    rungs: list[TakenRung]
    settlements: list[Settlement]


@dataclass(frozen=True, slots=True)
class Customer:
    """Who an id of the services stands for in the ledger, and which wall clock they see."""

    external_id: str
    zone: ZoneInfo


async def harvest(system: System, headers: dict[str, str]) -> Harvest:
    """Reads all of it; raises RefusedError when a service refuses."""
    async with (
        system.client("invoice-svc", headers) as invoices,
        system.client("scheduler-svc", headers) as scheduler,
        system.client("notifier-svc", headers) as notifier,
    ):
        customers = {one["id"]: _customer(one) async for one in pages(invoices, "/v1/customers")}
        return Harvest(
            messages=[_message(one, customers) async for one in pages(notifier, "/v1/deliveries", status="sent")],
            decisions=[
                _decision(one, customers)
                async for one in pages(scheduler, "/v1/decisions")
                if one["demand_id"] is None  # a demand is no step of the policy; it stands in escalations.csv
            ],
            rungs=[_rung(one, customers) async for one in events(invoices, "EscalationTriggered")],
            settlements=await _settlements(invoices, customers),
        )


async def pages(client: httpx.AsyncClient, path: str, **params: Any) -> AsyncIterator[dict[str, Any]]:
    """Every element of a list."""
    cursor: str | None = None
    while True:
        page = await _get(client, path, {"limit": 200, **params, **({"cursor": cursor} if cursor else {})})
        for one in page["data"]:
            yield one
        cursor = page["next_cursor"]
        if not cursor:
            return


async def events(client: httpx.AsyncClient, types: str) -> AsyncIterator[dict[str, Any]]:
    """Every event of these types in the feed."""
    after = "0"
    while True:
        page = await _get(client, "/v1/events", {"types": types, "after": after, "limit": 1000})
        for one in page["data"]:
            yield one
        if not page["data"]:
            return
        after = page["next_cursor"]


async def _get(client: httpx.AsyncClient, path: str, params: dict[str, Any]) -> dict[str, Any]:
    answer = await client.get(path, params=params)
    content: dict[str, Any] = answer.json()
    if not answer.is_success:
        raise RefusedError(f"{path}: {readable(content)}")
    return content


def _customer(one: dict[str, Any]) -> Customer:
    """Without a zone in a country of several, times are shown in its main one."""
    zone = one["timezone"] or next(iter(zones_of(one["country"])), "UTC")
    return Customer(one["external_id"], ZoneInfo(zone))


def _message(one: dict[str, Any], customers: dict[str, Customer]) -> SentMessage:
    customer, sent_at = customers[one["customer_id"]], datetime.fromisoformat(one["sent_at"])
    return SentMessage(
        sent_at=sent_at,
        local_time=sent_at.astimezone(customer.zone),
        customer_id=customer.external_id,
        channel=one["channel"],
        stage=one["stage"],
        step=one["step"],
        tone=one["tone"] or "",
        language=one["language"],
        invoice_numbers=tuple(item["number"] for item in one["items"]),
        amounts_minor=tuple(item["amount_minor"] for item in one["items"]),
        currencies=tuple(item["currency"] for item in one["items"]),
        subject=one["subject"],
    )


def _decision(one: dict[str, Any], customers: dict[str, Customer]) -> LoggedDecision:
    return LoggedDecision(
        at=datetime.fromisoformat(one["at"]),
        customer_id=customers[one["customer_id"]].external_id,
        invoice_number=one["invoice_number"],
        step=one["step"],
        outcome=one["outcome"],
        rule=one["rule"],
    )


def _rung(event: dict[str, Any], customers: dict[str, Customer]) -> TakenRung:
    data = event["data"]
    return TakenRung(
        at=datetime.fromisoformat(event["time"]),
        customer_id=customers[data["customer_id"]].external_id,
        invoice_number=data["invoice"]["number"],
        rung=data["rung"],
        action=data["action"],
        approved_by=data["approved_by"] or "",
        reminders_sent=data["reminders_sent"],
        days_overdue=data["days_overdue"],
        balance_minor=data["balance_minor"],
    )


async def _settlements(client: httpx.AsyncClient, customers: dict[str, Customer]) -> list[Settlement]:
    payments: dict[str, list[tuple[date, int]]] = defaultdict(list)
    async for one in pages(client, "/v1/payments"):
        for part in one["allocations"]:
            payments[part["invoice_number"]].append((date.fromisoformat(one["received_on"]), part["amount_minor"]))
    disputed = {event["data"]["invoice"]["number"] async for event in events(client, "DisputeOpened")}
    found = [_settlement(one, customers, payments, disputed) async for one in pages(client, "/v1/invoices")]
    return sorted(found, key=lambda s: s.number)


def _settlement(
    one: dict[str, Any],
    customers: dict[str, Customer],
    payments: dict[str, list[tuple[date, int]]],
    disputed: set[str],
) -> Settlement:
    received = sorted(payments.get(one["number"], []))
    return Settlement(
        number=one["number"],
        customer_id=customers[one["customer_id"]].external_id,
        issue_date=date.fromisoformat(one["issue_date"]),
        due_date=date.fromisoformat(one["due_date"]) if one["due_date"] else None,
        currency=one["currency"],
        amount_minor=one["total_minor"],
        disputed=one["number"] in disputed,
        paid_on=received[-1][0] if one["status"] == "paid" and received else None,
        payments=tuple(received),
    )
