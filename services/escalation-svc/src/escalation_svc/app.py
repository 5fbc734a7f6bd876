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
from remit_events.consumer import Consumer
from remit_events.pruning import Pruning
from remit_events.relay import Relay
from remit_service.app import create_app
from remit_service.clock import Clock
from remit_service.database import Database
from remit_service.idempotency import PurgeAnswers
from remit_service.peers import peer_client
from remit_service.service import Service, Task

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
    handlers = Handlers(clock, rules, settings.ladder_default, watch)
    consumer = Consumer(NAME, db, bus, TOPICS, handlers.handle, clock)

    async def events() -> str | None:
        return None if consumer.healthy() else "events lie ahead and none was handled for a minute"

    app = create_app(
        NAME,
        db=db,
        clock=clock,
        settings=settings,
        routers=routers,
        ready_checks=[events],
        description=DESCRIPTION,
    )
    app.state.escalation = Wiring(rules, settings.ladder_default, watch, notifier)
    relay = Relay(db, bus, f"/{NAME}", clock)
    rungs = Rungs(db, clock, rules, settings.ladder_default, watch)
    work: list[Task] = [relay, consumer, rungs, Pruning(db, bus, clock), PurgeAnswers(db, clock)]
    service = Service(NAME, settings, clock, db, bus, app, work)
    service.closers += [notifier.aclose] if http is None else []
    service.closers += [relay.close, consumer.close]
    return service
