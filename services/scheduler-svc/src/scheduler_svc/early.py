"""What escalation-svc tells of a customer before invoice-svc has: topics have no order among each other.

It waits in the customer's row, in the order it came, and is folded as soon as the customer is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from remit_events.envelope import CustomerEvent
from remit_events.escalations import EscalationResolved, EscalationTriggered

_TYPES = {kind.type: kind for kind in (EscalationTriggered, EscalationResolved)}


@dataclass(frozen=True, slots=True)
class Told:
    """An event, its id and its time."""

    event: CustomerEvent
    id: UUID
    at: datetime

    @property
    def needs_customer(self) -> bool:
        return self.event.type in _TYPES


def stored(waiting: Sequence[Told]) -> list[dict[str, Any]] | None:
    rows = [
        {"id": one.id, "at": one.at, "type": one.event.type, "data": one.event.model_dump_json()} for one in waiting
    ]
    return rows or None


def read(rows: Sequence[dict[str, Any]] | None) -> list[Told]:
    return [
        Told(_TYPES[row["type"]].model_validate_json(row["data"]), UUID(row["id"]), datetime.fromisoformat(row["at"]))
        for row in rows or ()
    ]
