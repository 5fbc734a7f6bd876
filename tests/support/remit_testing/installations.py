"""An installation of all four services on the test session's PostgreSQL, on one of the two transports."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from invoice_svc.bootstrap import ensure_seller
from remit_local.home import SERVICES, Addresses
from remit_local.installation import Installation, package_of
from remit_local.system import ensure_topics
from remit_service.clock import Clock, WallClock
from remit_service.database import Database
from remit_testing.fixtures import MakeDatabase
from remit_testing.notifier import make_bus_database
from remit_testing.ports import free_port
from remit_testing.service import SERVICE_KEY, make_service_database

KEY = "rk_the-key-of-a-seller-in-tests-000000000000"
SELLER: dict[str, Any] = {
    "name": "Nordlicht GmbH",
    "country": "DE",
    "language": "en",
    "address": "Hafenweg 4\n24103 Kiel",
    "sender_email": "billing@nordlicht.example",
    "reply_to": "accounts@nordlicht.example",
    "iban": "DE89370400440532013000",
    "account_manager": "Mara Lind",
}
# One is always near noon, where neither midnight nor the end of the day is near.
ZONES = (
    "Pacific/Auckland",
    "Asia/Tokyo",
    "Asia/Karachi",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "America/Los_Angeles",
    "Pacific/Honolulu",
)


async def make_installation(
    make_database: MakeDatabase,
    folder: Path,
    *,
    events_url: str | None = None,
    extras: Mapping[str, Mapping[str, Any]] | None = None,
    seller: Mapping[str, Any] | None = None,
    clock: Clock | None = None,
) -> Installation:
    """Migrated databases, topics, free ports, and a seller whose key is KEY. `events_url` None: on PostgreSQL.

    `extras` are further settings by service, `seller` what differs from SELLER.
    """
    own_bus = await make_bus_database(make_database)
    installation = Installation(
        databases={name: await make_service_database(make_database, package_of(name)) for name in SERVICES},
        local_database=await make_database(),
        own_bus=own_bus,
        events_url=events_url or own_bus,
        topic_prefix=f"e2e-{uuid4().hex}-" if events_url else "",
        addresses=Addresses("127.0.0.1", {name: free_port() for name in SERVICES}),
        service_key=SERVICE_KEY,
        mailbox=folder / "mailbox",
        extras=extras or {},
    )
    if events_url:
        await ensure_topics(installation)
    await _make_seller(installation, SELLER | dict(seller or {}), clock or WallClock())
    return installation


async def _make_seller(installation: Installation, seller: dict[str, Any], clock: Clock) -> None:
    db = Database(installation.databases["invoice-svc"])
    try:
        await ensure_seller(db, clock, key=KEY, **seller)
    finally:
        await db.close()


def zone_at_noon(now: datetime | None = None) -> str:
    """Of ZONES the one whose wall clock is nearest to noon."""
    moment = now or datetime.now(UTC)

    def distance(zone: str) -> float:
        local = moment.astimezone(ZoneInfo(zone))
        return abs(local.hour + local.minute / 60 - 12)

    return min(ZONES, key=distance)
