"""`remit.schedule.v1`: what scheduler-svc publishes: steps that are due, and why others are not."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any, ClassVar, Literal
from uuid import UUID

from remit_events.envelope import CustomerEvent, Event
from remit_events.state import Channel, InvoiceState, Snapshot, Stage, Tone

TOPIC = "remit.schedule.v1"


class Item(Snapshot):
    """One invoice of a message: its state when decided, the step it stands for, what is asked for.

    `amount_minor` is the undisputed balance; `days_overdue` is negative before the due date. Its policy sends nothing
    that asks for less than `minimum_minor`, of a message's items in its currency together.
    """

    invoice: InvoiceState
    step: str
    amount_minor: int
    days_overdue: int
    minimum_minor: int = 0


class Window(Snapshot):
    """When follow-up may go, in the customer's zone: `days` is `business` or weekdays; `until` is exclusive."""

    days: Literal["business"] | tuple[str, ...]
    opens: time
    until: time
    skip_holidays: bool = True


class Demand(Snapshot):
    """What a formal demand rests on and asks for: principal is the item's amount."""

    case_id: UUID
    reminders_sent: int
    approved_by: str | None
    deadline: date
    interest_minor: int = 0
    compensation_minor: int = 0


class PaymentDue(CustomerEvent):
    """A step is due and passed the gate: one touch of a customer, on every channel listed.

    `items[0]` leads (tone, template, stage). A touch is sent once per (touch, channel, recipient); the same
    touch may come again with other `channels` after all earlier ones certainly failed. Nothing of it leaves
    after `valid_until`.
    """

    type: ClassVar[str] = "com.remit.payment.due.v1"
    topic: ClassVar[str] = TOPIC
    touch_id: UUID
    stage: Stage
    step: str
    tone: Tone
    template: str
    channels: tuple[Channel, ...]
    items: tuple[Item, ...]
    decided_at: datetime
    local_date: date
    valid_until: datetime
    policy_key: str
    policy_version: int
    window: Window
    demand: Demand | None = None

    def subject(self) -> UUID:
        return self.touch_id

    def invoice_states(self) -> tuple[InvoiceState, ...]:
        return tuple(item.invoice for item in self.items)


class DecisionEvent(CustomerEvent):
    """One row of the decision log about one step of one invoice; `inputs` are the rule's, as JSON.

    `demand_id` is set when it is about a formal demand, whose rung `step` then is: the id of the EscalationTriggered
    event that asked for it.
    """

    topic: ClassVar[str] = TOPIC
    decision_id: UUID
    invoice_id: UUID
    invoice_number: str
    step: str
    rule: str
    inputs: dict[str, Any]
    policy_key: str
    policy_version: int
    demand_id: UUID | None = None

    def subject(self) -> UUID:
        return self.invoice_id


class TouchSuppressed(DecisionEvent):
    """The step will not go: the final outcome is `suppressed`, `skipped` or `merged`."""

    type: ClassVar[str] = "com.remit.touch.suppressed.v1"
    outcome: Literal["suppressed", "skipped", "merged"]


class TouchDeferred(DecisionEvent):
    """Not yet: the step is decided again at `until`, or when what holds it changes (None)."""

    type: ClassVar[str] = "com.remit.touch.deferred.v1"
    until: datetime | None = None


class FollowUpExhausted(CustomerEvent):
    """The last step has had its final outcome and the invoice is still unpaid."""

    type: ClassVar[str] = "com.remit.follow-up.exhausted.v1"
    topic: ClassVar[str] = TOPIC
    invoice: InvoiceState
    policy_key: str
    policy_version: int

    def subject(self) -> UUID:
        return self.invoice.id

    def sequence(self) -> int:
        return self.invoice.version

    def invoice_states(self) -> tuple[InvoiceState, ...]:
        return (self.invoice,)


EVENTS: tuple[type[Event], ...] = (PaymentDue, TouchSuppressed, TouchDeferred, FollowUpExhausted)
