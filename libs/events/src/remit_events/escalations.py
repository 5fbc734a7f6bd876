"""`remit.escalations.v1`: what escalation-svc publishes when a rung of the ladder is taken or a case ends."""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

from remit_events.envelope import CustomerEvent, Event
from remit_events.state import InvoiceState

TOPIC = "remit.escalations.v1"

Action = Literal["task", "formal_demand", "service_suspension", "agency", "legal"]


class EscalationTriggered(CustomerEvent):
    """A rung's conditions hold and its approval was given.

    A `formal_demand` passes the scheduler's gate and becomes a PaymentDue of stage demand; `stops_chasing` is set
    on later rungs after which reminders end. `evidence_sha256` digests the facts it rests on.
    """

    type: ClassVar[str] = "com.remit.escalation.triggered.v1"
    topic: ClassVar[str] = TOPIC
    case_id: UUID
    invoice: InvoiceState
    rung: str
    action: Action
    approved_by: str | None
    reminders_sent: int
    days_overdue: int
    balance_minor: int
    ladder_key: str
    ladder_version: int
    evidence_sha256: str
    demand_deadline: date | None = None
    stops_chasing: bool = False

    def subject(self) -> UUID:
        return self.case_id

    def invoice_states(self) -> tuple[InvoiceState, ...]:
        return (self.invoice,)


class EscalationResolved(CustomerEvent):
    """The case ended: paid, settled, void or withdrawn."""

    type: ClassVar[str] = "com.remit.escalation.resolved.v1"
    topic: ClassVar[str] = TOPIC
    case_id: UUID
    invoice_id: UUID
    outcome: Literal["paid", "settled", "void", "withdrawn"]

    def subject(self) -> UUID:
        return self.case_id


class ReplyAnswered(CustomerEvent):
    """A person has dealt with what a customer wrote, and completed its task: what it paused goes on.

    `reply_id` is that of ReplyReceived, or the id of that event where it has none.
    """

    type: ClassVar[str] = "com.remit.reply.answered.v1"
    topic: ClassVar[str] = TOPIC
    reply_id: UUID
    answered_by: str

    def subject(self) -> UUID:
        return self.reply_id


EVENTS: tuple[type[Event], ...] = (EscalationTriggered, EscalationResolved, ReplyAnswered)
