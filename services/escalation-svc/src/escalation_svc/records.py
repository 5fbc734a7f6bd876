"""Rows as the code works on them: what one transaction loads under a customer's lock, changes and saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from escalation_svc.evaluate import CaseFacts, CaseStatus, Contact, ContactStatus, Taken
from escalation_svc.moments import Place
from remit_events.schedule import Window
from remit_events.state import CustomerState, InvoiceState, Stage


@dataclass(slots=True)
class Customer:
    """A customer as last heard of; `state` is None until CustomerChanged came."""

    id: UUID
    seller_id: UUID
    state: CustomerState | None = None
    window: Window | None = None
    changed: bool = False

    def place(self) -> Place | None:
        """Their zone and calendar; None while nothing is known of them."""
        return Place.of(self.state, self.window) if self.state else None


@dataclass(slots=True)
class ContactRow:
    """One delivery that named the invoice; a planned touch stands under its own id."""

    delivery_id: UUID
    touch_id: UUID
    at: datetime
    stage: Stage
    step: str
    status: ContactStatus
    channel: str | None = None
    digest: str | None = None
    provider: str | None = None
    provider_id: str | None = None


@dataclass(slots=True)
class RungRow:
    """A rung that was triggered.

    `refused_rule`: a demand that will not go, and why. `withdrawn_at`: a person re-opened the case and it may be
    taken again.
    """

    key: str
    attempt: int
    action: str
    triggered_at: datetime
    triggered_on: date
    approved_by: str | None
    reminders_sent: int
    days_overdue: int
    balance_minor: int
    ladder_key: str
    ladder_version: int
    evidence: dict[str, Any]
    evidence_sha256: str
    demand_deadline: date | None = None
    refused_rule: str | None = None
    withdrawn_at: datetime | None = None


@dataclass(slots=True)
class ApprovalRow:
    """A rung's approval: asked for, and by whom it was decided and why."""

    id: UUID
    rung: str
    action: str
    status: str
    evidence: dict[str, Any]
    evidence_sha256: str
    requested_at: datetime
    decided_at: datetime | None = None
    decided_by: str | None = None
    reason: str | None = None


@dataclass(slots=True)
class Case:
    """One invoice's case with all that hangs on it."""

    id: UUID
    seller_id: UUID
    customer_id: UUID
    invoice: InvoiceState
    opened_at: datetime
    status: CaseStatus = "open"
    outcome: str | None = None
    escalated: bool = False
    ladder_key: str | None = None
    ladder_version: int | None = None
    next_eval_at: datetime | None = None
    replan: bool = False
    contacts: dict[UUID, ContactRow] = field(default_factory=dict)
    rungs: list[RungRow] = field(default_factory=list)
    approvals: list[ApprovalRow] = field(default_factory=list)
    is_new: bool = False

    @property
    def order(self) -> tuple[date, str]:
        """How cases of one customer are taken in turn: oldest due date first, then by number."""
        return (self.invoice.due_date or date.max, self.invoice.number)

    def standing(self) -> list[RungRow]:
        """Rungs taken and not withdrawn, in order."""
        return [row for row in self.rungs if row.withdrawn_at is None]

    def pending(self) -> ApprovalRow | None:
        return next((row for row in self.approvals if row.status == "pending"), None)

    def facts(self, customer: Customer, place: Place, approvals: Sequence[ApprovalRow] | None = None) -> CaseFacts:
        """The case as the pure core sees it, moments turned into the customer's dates.

        `approvals` stand for the case's own, to ask what would be if one of them were not.
        """
        asked = self.approvals if approvals is None else approvals
        pending = next((row for row in asked if row.status == "pending"), None)
        state = customer.state
        return CaseFacts(
            invoice=self.invoice,
            profile=state.profile if state else "individual",
            customer_hold=state.hold if state else None,
            contacts=tuple(Contact(c.touch_id, place.day(c.at), c.stage, c.status) for c in self.contacts.values()),
            taken=tuple(Taken(row.key, row.triggered_on) for row in self.standing()),
            pending=pending.rung if pending else None,
            rejected={row.rung: row.reason or "" for row in asked if row.status == "rejected"},
        )
