"""The composition root of scheduler-svc."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from remit_events.bus import Bus
from remit_service.app import create_app
from remit_service.clock import Clock, SimulatedClock
from remit_service.database import Database
from remit_service.event_flow import EventFlow
from remit_service.service import Service
from scheduler_svc.api import automation, contacts, decisions, follow_ups, plans, policies
from scheduler_svc.api.wiring import Wiring
from scheduler_svc.handlers import TOPICS, Handlers
from scheduler_svc.policies import PolicyCache
from scheduler_svc.settings import Settings
from scheduler_svc.sweep import Sweep

NAME = "scheduler-svc"
DESCRIPTION = "Follow-up policies, what comes next for each invoice, and why somebody was, or was not, contacted."


async def build(
    settings: Settings,
    *,
    clock: Clock,
    bus: Bus,
    http: Callable[[str], httpx.AsyncClient] | None = None,  # noqa: ARG001  # it asks nobody
) -> Service:
    """scheduler-svc with everything it needs."""
    db = Database(settings.database_url, name=NAME)
    cache = PolicyCache()
    # A simulation stops at the first fault rather than going on without a customer.
    sweep = Sweep(db, clock, cache, batch=settings.sweep_batch, strict=isinstance(clock, SimulatedClock))
    routers = [
        policies.router,
        follow_ups.router,
        plans.router,
        decisions.router,
        contacts.router,
        automation.router,
    ]
    flow = EventFlow(NAME, db, bus, clock, TOPICS, Handlers(clock, cache, sweep.changed).handle)
    app = create_app(
        NAME,
        db=db,
        clock=clock,
        settings=settings,
        routers=routers,
        ready_checks=[flow.ready],
        description=DESCRIPTION,
    )
    app.state.scheduler = Wiring(cache, sweep.changed)
    return Service(NAME, settings, clock, db, bus, app, [*flow.tasks, sweep], closers=flow.closers)
