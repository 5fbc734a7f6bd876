"""From a record to an event, without exceptions: what cannot be read is told as text."""

from __future__ import annotations

from functools import lru_cache

from pydantic import ValidationError

from remit_events.bus import Delivered, Received
from remit_events.catalogue import read
from remit_events.envelope import Event

# Several consumers of one process read the same events; large ones are not worth keeping.
CACHED_EVENTS = 2_048
CACHED_BYTES = 16_384


class UnreadableError(Exception):
    """A known type whose body or headers do not fit its model."""


def parse(record: Delivered) -> Received | str | None:
    """The event; None when its type is unknown here; a text saying why it cannot be read."""
    message = record.message
    if message is None:
        return record.failure or "unreadable headers"
    try:
        event = (_cached if len(message.data) <= CACHED_BYTES else read)(message.type, message.data)
    except ValidationError as error:
        return describe(error)
    if event is None:
        return None
    return Received(message, event, record.topic, record.partition, record.offset)


def describe(error: BaseException) -> str:
    """What went wrong, without the values it went wrong with where the error lets us choose."""
    if isinstance(error, ValidationError):
        places = (f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors(include_input=False))
        return f"{error.title} cannot be read: " + "; ".join(places)
    return f"{type(error).__name__}: {error}"


@lru_cache(CACHED_EVENTS)
def _cached(kind: str, data: bytes) -> Event | None:
    return read(kind, data)
