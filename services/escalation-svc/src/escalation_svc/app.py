"""The composition root of escalation-svc."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import httpx

from escalation_svc.api import approvals, cases, ladders, tasks
from escalation_svc.api.preview import PREVIEW_SECONDS
from escalation_svc.api.wiring import Wiring
from escalation_svc.handlers import Handlers
from escalation_svc.rungs import Rungs
from escalation_svc.settings import Settings
from escalation_svc.transitions import Rules
from escalation_svc.watch import Watch
from remit_events import invoices, notifications, schedule
from remit_events.bus import Bus
from remit_service.app import create_app
from remit_service.clock import Clock
from remit_service.database import Database
from remit_service.event_flow import EventFlow
from remit_service.peers import peer_client
from remit_service.service import Service

NAME = "escalation-svc"
TOPICS = (invoices.TOPIC, schedule.TOPIC, notifications.TOPIC)
DESCRIPTION = "Ladders, cases, approvals and tasks: what happens when reminders did not help."


async def build(
    settings: Settings, *, clock: Clock, bus: Bus, http: Callable[[str], httpx.AsyncClient] | None = None
) -> Service:
    """escalation-svc with everything it needs; `http` gives clients to other services by name."""
    db = Database(settings.database_url, name=NAME)
    rules = Rules(settings.approve, settings.approve_as, timedelta(seconds=settings.rungs_settle_seconds))
    watch = Watch()
    peer = "notifier-svc"
    notifier = http(peer) if http else peer_client(peer, settings.notifier_url, settings, timeout=PREVIEW_SECONDS)
    routers = [ladders.router, cases.router, approvals.router, tasks.router]
    flow = EventFlow(NAME, db, bus, clock, TOPICS, Handlers(clock, rules, settings.ladder_default, watch).handle)
    app = create_app(
        NAME,
        db=db,
        clock=clock,
        settings=settings,
        routers=routers,
        ready_checks=[flow.ready],
        description=DESCRIPTION,
    )
    app.state.escalation = Wiring(rules, settings.ladder_default, watch, notifier)
    rungs = Rungs(db, clock, rules, settings.ladder_default, watch)
    service = Service(NAME, settings, clock, db, bus, app, [*flow.tasks, rungs])
    service.closers += [notifier.aclose] if http is None else []
    service.closers += flow.closers
    return service
