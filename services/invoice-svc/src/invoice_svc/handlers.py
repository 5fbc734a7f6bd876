"""Events in: all four topics, its own among them, go into the timeline."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from invoice_svc import timeline
from remit_events import escalations, invoices, notifications, schedule
from remit_events.bus import Received

TOPICS = (invoices.TOPIC, schedule.TOPIC, notifications.TOPIC, escalations.TOPIC)


async def handle(session: AsyncSession, received: Sequence[Received]) -> None:
    await timeline.append(session, received)
