"""The composition root of invoice-svc."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from invoice_svc import handlers
from invoice_svc.api import ROUTERS
from invoice_svc.api.wiring import Wiring
from invoice_svc.expiry import hold_expiry, promise_expiry
from invoice_svc.settings import Settings
from remit_events.bus import Bus
from remit_service.app import create_app
from remit_service.clock import Clock
from remit_service.database import Database
from remit_service.event_flow import EventFlow
from remit_service.service import Service

NAME = "invoice-svc"
GROUP = f"{NAME}.timeline"
DESCRIPTION = "Sellers, customers, invoices, payments, disputes, promises, and the timeline of all that happened."


async def build(
    settings: Settings,
    *,
    clock: Clock,
    bus: Bus,
    http: Callable[[str], httpx.AsyncClient] | None = None,  # noqa: ARG001  # it asks nobody
) -> Service:
    """invoice-svc with everything it needs."""
    db = Database(settings.database_url, name=NAME)
    flow = EventFlow(NAME, db, bus, clock, handlers.TOPICS, handlers.handle, group=GROUP)
    app = create_app(
        NAME,
        db=db,
        clock=clock,
        settings=settings,
        routers=ROUTERS,
        ready_checks=[flow.ready],
        description=DESCRIPTION,
    )
    promises, holds = promise_expiry(db, clock), hold_expiry(db, clock)
    app.state.invoice = Wiring(promises, holds)
    return Service(NAME, settings, clock, db, bus, app, [*flow.tasks, promises, holds], closers=flow.closers)
