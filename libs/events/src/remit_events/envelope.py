"""CloudEvents 1.0 in binary mode: attributes travel as `ce_*` headers, the body is the event's JSON.

Source: CloudEvents 1.0.2 and its Kafka protocol binding.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
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


@dataclass(frozen=True, slots=True)
class Message:
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

    @property
    def data_schema(self) -> str:
        return SCHEMA_BASE + self.type

    def headers(self) -> list[tuple[str, bytes]]:
        """The record's headers, `ce_*` plus content type and trace context."""
        pairs = {
            "ce_specversion": "1.0",
            "ce_id": str(self.id),
            "ce_source": self.source,
            "ce_type": self.type,
            "ce_time": self.time.isoformat(),
            "ce_subject": self.subject,
            "ce_dataschema": self.data_schema,
            "ce_partitionkey": self.partition_key,
            "ce_sequence": str(self.sequence),
            "content-type": "application/json",
        }
        if self.traceparent:
            pairs["traceparent"] = self.traceparent
        return [(name, value.encode()) for name, value in pairs.items()]

    @classmethod
    def from_headers(cls, headers: list[tuple[str, bytes]], data: bytes) -> Message:
        """Raises KeyError or ValueError when an attribute is missing or malformed."""
        given = {name: value.decode() for name, value in headers}
        return cls(
            id=UUID(given["ce_id"]),
            source=given["ce_source"],
            type=given["ce_type"],
            time=datetime.fromisoformat(given["ce_time"]),
            subject=given["ce_subject"],
            partition_key=given["ce_partitionkey"],
            sequence=int(given["ce_sequence"]),
            data=data,
            traceparent=given.get("traceparent"),
        )
