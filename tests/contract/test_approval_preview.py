"""What escalation-svc shows before a demand is what notifier-svc renders."""

from __future__ import annotations

from datetime import UTC, date, datetime

from uuid6 import uuid7

from escalation_svc.api.preview import Message, PreviewItem
from notifier_svc.api.templates import PlannedMessage
from remit_events.schedule import Demand
from remit_events.state import Channel, Stage, Tone


def test_the_message_of_an_approval_is_a_planned_message() -> None:
    item = PreviewItem(
        invoice_id=uuid7(), number="R-1", amount_minor=100, currency="EUR", step="formal-demand", days_overdue=36
    )
    demand = Demand(case_id=uuid7(), reminders_sent=3, approved_by=None, deadline=date(2026, 5, 1))
    message = Message(
        at=datetime(2026, 4, 21, 7, tzinfo=UTC),
        customer_id=uuid7(),
        customer_name="Alster Logistik GmbH",
        stage="demand",
        step="formal-demand",
        tone="final",
        channels=["email", "letter"],
        items=[item],
        template="formal-demand",
        demand=demand,
    )
    read = PlannedMessage.model_validate(message.model_dump(mode="json"))
    assert (read.stage, read.tone, read.channels) == (Stage.DEMAND, Tone.FINAL, (Channel.EMAIL, Channel.LETTER))
    assert (read.at, read.customer_id, read.step, read.demand) == (
        message.at,
        message.customer_id,
        message.step,
        demand,
    )
    assert (read.items[0].invoice_id, read.items[0].amount_minor) == (item.invoice_id, 100)
