"""The composition root of notifier-svc."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from notifier_svc.api import callbacks, live, replies, suppressions, templates, unsubscribe
from notifier_svc.api import deliveries as deliveries_api
from notifier_svc.api.wiring import Wiring
from notifier_svc.balances import StillOwed
from notifier_svc.deliveries import Deliveries
from notifier_svc.handlers import Handler
from notifier_svc.links import UnsubscribeLinks
from notifier_svc.modes import Ways
from notifier_svc.planning import Planner
from notifier_svc.polling import Poll, Reconcile
from notifier_svc.recovery import Recovery
from notifier_svc.rendering.renderer import render
from notifier_svc.settings import Settings
from notifier_svc.worker import Worker
from remit_events import invoices, schedule
from remit_events.bus import Bus
from remit_service.app import create_app
from remit_service.clock import Clock
from remit_service.database import Database
from remit_service.event_flow import EventFlow
from remit_service.peers import peer_client
from remit_service.service import Service, Task

NAME = "notifier-svc"
TOPICS = (invoices.TOPIC, schedule.TOPIC)
DESCRIPTION = "Deliveries by e-mail, SMS and letter: sent once, after asking what is still owed."
ASK_SECONDS = 3.0
ROUTERS = (
    deliveries_api.router,
    templates.router,
    templates.asking,
    replies.router,
    suppressions.router,
    live.router,
    live.asking,
    callbacks.router,
    unsubscribe.router,
)


async def build(
    settings: Settings, *, clock: Clock, bus: Bus, http: Callable[[str], httpx.AsyncClient] | None = None
) -> Service:
    """notifier-svc with everything it needs; `http` gives clients to other services by name."""
    db = Database(settings.database_url, name=NAME)
    peers = {name: http(name) if http else _peer(name, settings) for name in ("invoice-svc", "scheduler-svc")}
    still_owed = StillOwed(peers["invoice-svc"], peers["scheduler-svc"], settings.balance_max_age)
    ways = Ways(settings, clock)
    links = UnsubscribeLinks(settings.public_url, settings.service_key.get_secret_value())
    worker = Worker(db.engine)
    deliveries = Deliveries(db, clock, still_owed, Planner(ways, render, links.of), worker, batch=settings.send_batch)
    flow = EventFlow(NAME, db, bus, clock, TOPICS, Handler(clock, deliveries.nudge))
    tasks: list[Task] = [
        *flow.tasks,
        Recovery(db, clock, worker),
        deliveries,
        *_twilio_tasks(settings, db, clock, ways),
    ]
    app = create_app(
        NAME,
        db=db,
        clock=clock,
        settings=settings,
        routers=ROUTERS,
        ready_checks=[flow.ready],
        description=DESCRIPTION,
    )
    app.state.notifier = Wiring(settings, ways, still_owed, render, links.shown, deliveries.nudge)
    service = Service(NAME, settings, clock, db, bus, app, tasks)
    if http is None:
        service.closers += [peer.aclose for peer in peers.values()]
    service.closers += [ways.close, worker.close, *flow.closers]
    return service


def _peer(name: str, settings: Settings) -> httpx.AsyncClient:
    url = settings.invoice_url if name == "invoice-svc" else settings.scheduler_url
    return peer_client(name, url, settings, timeout=ASK_SECONDS)


def _twilio_tasks(settings: Settings, db: Database, clock: Clock, ways: Ways) -> list[Task]:
    """Only where SMS really leave; polling only where no public URL takes Twilio's callbacks."""
    if ways.twilio is None or ways.mode == "mailbox":
        return []
    tasks: list[Task] = [Reconcile(db, clock, ways, ways.twilio)]
    if settings.public_url is None:
        tasks.append(Poll(db, clock, ways.twilio, settings.twilio_poll_seconds))
    return tasks
