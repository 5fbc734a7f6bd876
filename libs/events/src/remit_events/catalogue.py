"""Every topic and every event type there is, and how to read a message of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from remit_events import escalations, invoices, notifications, schedule
from remit_events.envelope import Event


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is created. `partitions` never changes afterwards: a change breaks the order per key."""

    name: str
    owner: str
    partitions: int = 8
    retention: timedelta = timedelta(days=30)


TOPICS: tuple[Topic, ...] = (
    Topic(invoices.TOPIC, "invoice-svc"),
    Topic(schedule.TOPIC, "scheduler-svc"),
    Topic(notifications.TOPIC, "notifier-svc"),
    Topic(escalations.TOPIC, "escalation-svc"),
)

EVENT_TYPES: dict[str, type[Event]] = {
    event.type: event for module in (invoices, schedule, notifications, escalations) for event in module.EVENTS
}


def read(kind: str, data: bytes) -> Event | None:
    """The event whose type and JSON body a message has; None when the type is unknown here (a newer producer's).

    Raises pydantic.ValidationError when a known type cannot be read.
    """
    event_type = EVENT_TYPES.get(kind)
    return event_type.model_validate_json(data) if event_type else None
