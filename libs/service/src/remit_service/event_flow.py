"""Events out of a service and into it: the tasks, the readiness check and the closing that all four share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from remit_events.bus import Bus
from remit_events.consumer import Consumer, Handler
from remit_events.pruning import Pruning
from remit_events.relay import Relay
from remit_service.clock import Clock
from remit_service.database import Database
from remit_service.idempotency import PurgeAnswers
from remit_service.service import Task


class EventFlow:
    """Relay and consumer of one service, and the clearing of what both leave behind.

    `group` is the consumer's name where it is not the service's.
    """

    def __init__(
        self,
        name: str,
        db: Database,
        bus: Bus,
        clock: Clock,
        topics: Sequence[str],
        handle: Handler,
        *,
        group: str | None = None,
    ) -> None:
        self.relay = Relay(db, bus, f"/{name}", clock)
        self.consumer = Consumer(group or name, db, bus, topics, handle, clock)
        self.tasks: list[Task] = [self.relay, self.consumer, Pruning(db, bus, clock), PurgeAnswers(db, clock)]
        self.closers: list[Callable[[], Awaitable[None]]] = [self.relay.close, self.consumer.close]

    async def ready(self) -> str | None:
        """A readiness check: None, or why the service should get no traffic."""
        return None if self.consumer.healthy() else "events lie ahead and none was handled for a minute"
