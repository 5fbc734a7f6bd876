"""Events in: all four topics, its own among them, go into the timeline."""

from __future__ import annotations

from collections.abc import Sequence

from invoice_svc import timeline
from remit_events import escalations, invoices, notifications, schedule
from remit_events.bus import Received
from remit_events.session import Session

TOPICS = (invoices.TOPIC, schedule.TOPIC, notifications.TOPIC, escalations.TOPIC)


async def handle(session: Session, received: Sequence[Received]) -> None:
    await timeline.append(session, received)
