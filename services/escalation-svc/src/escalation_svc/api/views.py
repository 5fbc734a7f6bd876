"""Cases, approvals and tasks as JSON."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from escalation_svc.book import Book
from escalation_svc.evaluate import Reason
from escalation_svc.ladders import Shelf
from escalation_svc.records import ApprovalRow, Case, ContactRow, RungRow
from escalation_svc.transitions import look
from escalation_svc.wording import sentence

NUMBER = "2026-0042"
ID = "01997f6a-1111-7000-8000-000000000001"
SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def example(**fields: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


class ReasonOut(BaseModel):
    """Why the next rung may not be taken: the rule, what it needs, what there is, and when it ends by itself."""

    model_config = example(rule="reminders", needed=3, actual=2, until=None, text="2 reminders sent, 3 needed")

    rule: str
    needed: str | int | None
    actual: str | int | None
    until: date | None
    text: str

    @classmethod
    def of(cls, reason: Reason) -> ReasonOut:
        return cls(
            rule=reason.rule, needed=reason.needed, actual=reason.actual, until=reason.until, text=sentence(reason)
        )


class About(BaseModel):
    """Which invoice of whom; money in minor units."""

    case_id: UUID
    customer_id: UUID
    customer_external_id: str | None
    customer_name: str | None
    invoice_id: UUID
    invoice_number: str
    currency: str
    balance_minor: int
    due_date: date | None


def about_of(book: Book, case: Case) -> dict[str, Any]:
    state = book.customer(case).state
    return {
        "case_id": case.id,
        "customer_id": case.customer_id,
        "customer_external_id": state.external_id if state else None,
        "customer_name": state.name if state else None,
        "invoice_id": case.invoice.id,
        "invoice_number": case.invoice.number,
        "currency": case.invoice.currency,
        "balance_minor": case.invoice.balance_minor,
        "due_date": case.invoice.due_date,
    }


ABOUT = {
    "case_id": ID,
    "customer_id": ID,
    "customer_external_id": "C-17",
    "customer_name": "Alster Logistik GmbH",
    "invoice_id": ID,
    "invoice_number": NUMBER,
    "currency": "EUR",
    "balance_minor": 119000,
    "due_date": "2026-03-02",
}


class RungOut(BaseModel):
    """A rung that was taken. `refused_rule`: a demand that could not be sent; `withdrawn_at`: it may be taken again."""

    key: str
    action: str
    triggered_at: datetime
    approved_by: str | None
    reminders_sent: int
    days_overdue: int
    balance_minor: int
    ladder_key: str
    ladder_version: int
    evidence_sha256: str
    demand_deadline: date | None
    refused_rule: str | None
    withdrawn_at: datetime | None

    @classmethod
    def of(cls, row: RungRow) -> RungOut:
        return cls.model_validate(row, from_attributes=True)


class MessageOut(BaseModel):
    """One delivery that named the invoice; `channel` is null for a touch that is only planned."""

    touch_id: UUID
    at: datetime
    stage: str
    step: str
    channel: str | None
    status: str

    @classmethod
    def of(cls, row: ContactRow) -> MessageOut:
        return cls.model_validate(row, from_attributes=True)


class CaseOut(About):
    """An invoice's case: where it stands on its ladder, what comes next and what stands in the way."""

    model_config = example(
        **ABOUT,
        status="open",
        outcome=None,
        ladder_key="default",
        ladder_version=1,
        days_overdue=31,
        reminders_sent=2,
        next_rung="formal-demand",
        reasons=[{"rule": "reminders", "needed": 3, "actual": 2, "until": None, "text": "2 reminders sent, 3 needed"}],
        next_look_at=None,
        rungs=[],
        opened_at="2026-02-01T08:00:00Z",
    )

    status: Literal["open", "frozen", "closed"]
    outcome: str | None
    ladder_key: str | None
    ladder_version: int | None
    days_overdue: int | None
    reminders_sent: int
    next_rung: str | None
    reasons: list[ReasonOut]
    next_look_at: datetime | None
    rungs: list[RungOut]
    opened_at: datetime


def case_values(book: Book, ladders: Shelf, case: Case, now: datetime) -> dict[str, Any]:
    """The fields of CaseOut, looked at now."""
    looked = look(book, ladders, case, now)
    verdict = looked.verdict if looked else None
    ladder = looked.ladder if looked else None
    return about_of(book, case) | {
        "status": case.status,
        "outcome": case.outcome,
        "ladder_key": ladder.key if ladder else None,
        "ladder_version": ladder.version if ladder else None,
        "days_overdue": verdict.days_overdue if verdict else None,
        "reminders_sent": verdict.reminders if verdict else 0,
        "next_rung": verdict.rung.key if verdict and verdict.rung else None,
        "reasons": [ReasonOut.of(reason) for reason in verdict.reasons] if verdict else [],
        "next_look_at": case.next_eval_at,
        "rungs": [RungOut.of(row) for row in case.rungs],
        "opened_at": case.opened_at,
    }


class ApprovalOut(About):
    """A rung that waits for, or was given or refused, a person's approval.

    `may_approve` and `reasons` say how it would be decided now; `changed` that its facts are not those of the request.
    """

    model_config = example(
        **ABOUT,
        id=ID,
        status="pending",
        rung="formal-demand",
        action="formal_demand",
        days_overdue=37,
        reminders_sent=4,
        requested_at="2026-04-08T07:00:00Z",
        decided_at=None,
        decided_by=None,
        reason=None,
        may_approve=True,
        reasons=[],
        evidence_sha256=SHA,
        changed=False,
    )

    id: UUID
    status: Literal["pending", "approved", "rejected", "expired", "reopened"]
    rung: str
    action: str
    days_overdue: int | None
    reminders_sent: int
    requested_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    reason: str | None
    may_approve: bool
    reasons: list[ReasonOut]
    evidence_sha256: str = Field(description="Of the facts now while pending, else of those it was asked for with.")
    changed: bool


class TaskOut(BaseModel):
    """Something a person is to do: about a case, or (kind `reply`) about what a customer wrote, `reply_id`."""

    model_config = example(
        **ABOUT,
        id=ID,
        kind="task",
        rung="account-manager",
        reply_id=None,
        note="Call the customer, learn the reason, offer a payment plan.",
        assignee="Mara Lind",
        status="open",
        due_on="2026-03-20",
        created_at="2026-03-17T08:00:00Z",
        done_at=None,
        done_by=None,
        result=None,
    )

    case_id: UUID | None
    customer_id: UUID
    customer_external_id: str | None
    customer_name: str | None
    invoice_id: UUID | None
    invoice_number: str | None
    currency: str | None
    balance_minor: int | None
    due_date: date | None
    id: UUID
    kind: str
    rung: str | None
    reply_id: UUID | None
    note: str
    assignee: str | None
    status: Literal["open", "done"]
    due_on: date
    created_at: datetime
    done_at: datetime | None
    done_by: str | None
    result: str | None


def approval_of(case: Case, approval_id: UUID) -> ApprovalRow:
    return next(row for row in case.approvals if row.id == approval_id)
