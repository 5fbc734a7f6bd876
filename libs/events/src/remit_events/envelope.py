"""CloudEvents 1.0 in binary mode: attributes travel as `ce_*` headers, the body is the event's JSON.

Source: CloudEvents 1.0.2 and its Kafka protocol binding.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import ClassVar, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from remit_events.state import CustomerState, InvoiceState

SCHEMA_BASE = "urn:remit:schema:"


class Event(BaseModel):
    """What every Remit event has; a subclass is one type of one topic.

    Frozen; unknown fields are ignored, so a consumer of release N-1 reads events of release N.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: ClassVar[str]
    topic: ClassVar[str]

    seller_id: UUID

    def partition_key(self) -> UUID:
        """The customer whose history this belongs to; order is kept per key."""
        raise NotImplementedError

    def subject(self) -> UUID:
        """The aggregate the event is about."""
        raise NotImplementedError

    def sequence(self) -> int:
        """The aggregate's version after the event; 0 where the subject is not versioned."""
        return 0

    def invoice_states(self) -> tuple[InvoiceState, ...]:
        """Full invoice snapshots the event carries; consumers keep the newest version of each."""
        return ()

    def customer_state(self) -> CustomerState | None:
        """The customer snapshot the event carries, if any."""
        return None


class CustomerEvent(Event):
    """An event keyed by its customer."""

    customer_id: UUID

    def partition_key(self) -> UUID:
        return self.customer_id


class Message(NamedTuple):
    """An event as it travels: CloudEvents attributes beside the undecoded JSON body."""

    id: UUID
    source: str
    type: str
    time: datetime
    subject: str
    partition_key: str
    sequence: int
    data: bytes
    traceparent: str | None = None

    def headers(self) -> list[tuple[str, bytes]]:
        """The record's headers, `ce_*` plus content type and trace context."""
        key = self.partition_key.encode()
        return headers_of(
            self.source, self.type, self.id, self.time, self.subject, key, self.sequence, self.traceparent
        )

    @classmethod
    def from_headers(cls, headers: list[tuple[str, bytes]], data: bytes) -> Message:
        """Raises KeyError or ValueError when an attribute is missing or malformed."""
        given = {name: value.decode() for name, value in headers}
        return cls(
            UUID(given["ce_id"]),
            given["ce_source"],
            given["ce_type"],
            datetime.fromisoformat(given["ce_time"]),
            given["ce_subject"],
            given["ce_partitionkey"],
            int(given["ce_sequence"]),
            data,
            given.get("traceparent"),
        )


def headers_of(
    source: str, kind: str, event_id: UUID, time: datetime, subject: str, key: bytes, sequence: int, trace: str | None
) -> list[tuple[str, bytes]]:
    """The headers of one event; apart from Message, for a relay makes them of every row it reads."""
    found = [
        *_same_for_all(source, kind),
        ("ce_id", str(event_id).encode()),
        ("ce_time", time.isoformat().encode()),
        ("ce_subject", subject.encode()),
        ("ce_partitionkey", key),
        ("ce_sequence", b"%d" % sequence),
    ]
    if trace:
        found.append(("traceparent", trace.encode()))
    return found


@lru_cache(1_000)
def _same_for_all(source: str, kind: str) -> tuple[tuple[str, bytes], ...]:
    """The headers that events of one type have in common."""
    return (
        ("ce_specversion", b"1.0"),
        ("ce_source", source.encode()),
        ("ce_type", kind.encode()),
        ("ce_dataschema", f"{SCHEMA_BASE}{kind}".encode()),
        ("content-type", b"application/json"),
    )
