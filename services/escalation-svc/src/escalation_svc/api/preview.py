"""What approving a rung would send: the data here, the wording from notifier-svc when it answers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import structlog
from pydantic import BaseModel

from escalation_svc.api.views import ABOUT, ID, SHA, ApprovalOut, example
from escalation_svc.approvals import Request
from escalation_svc.evidence import evidence
from escalation_svc.transitions import profile
from remit_events.schedule import Demand
from remit_service.auth import SELLER_HEADER

PREVIEW_SECONDS = 5.0

log = structlog.get_logger(__name__)


class PreviewItem(BaseModel):
    """One invoice of the message; minor units."""

    invoice_id: UUID
    number: str
    amount_minor: int
    currency: str
    step: str
    days_overdue: int


class Message(BaseModel):
    """The message in the shape of the scheduler's plan; it leaves when the contact gate allows."""

    at: datetime
    customer_id: UUID
    customer_name: str
    stage: str
    step: str
    tone: str
    channels: list[str]
    items: list[PreviewItem]
    template: str
    demand: Demand


class Preview(BaseModel):
    """`message` is null for a rung that sends nothing; `rendered` when notifier-svc did not answer (`note` says so)."""

    model_config = example(
        approval={**ABOUT, "id": ID, "status": "pending", "rung": "formal-demand", "evidence_sha256": SHA},
        message={"stage": "demand", "step": "formal-demand", "tone": "final", "channels": ["email", "letter"]},
        rendered={"subject": "Formal demand: invoice 2026-0042", "text": "…", "html": "…"},
        note=None,
        evidence={"invoice": {"number": "2026-0042"}, "messages": [], "rungs": []},
    )

    approval: ApprovalOut
    message: Message | None
    rendered: dict[str, Any] | None = None
    note: str | None = None
    evidence: dict[str, Any]


def preview_of(request: Request, approval: ApprovalOut, now: datetime) -> Preview:
    """Everything but the wording."""
    row, case, looked = request.row, request.case, request.looked
    rung = looked.ladder.rung(row.rung) if looked and looked.ladder else None
    if row.status != "pending" or looked is None or looked.ladder is None or rung is None:
        return Preview(approval=approval, message=None, evidence=row.evidence)
    found = evidence(case, looked.ladder, rung, profile(request.book.customer(case)))
    note = None if rung.action == "formal_demand" else f"Approving makes a task ({rung.action}); no message is sent."
    message = _message(request, rung.deadline_days or 0, now) if note is None else None
    return Preview(approval=approval, message=message, note=note, evidence=found)


def _message(request: Request, deadline_days: int, now: datetime) -> Message | None:
    case, looked, state = request.case, request.looked, request.book.customer(request.case).state
    if looked is None or state is None:
        return None
    item = PreviewItem(
        invoice_id=case.invoice.id,
        number=case.invoice.number,
        amount_minor=case.invoice.chased_minor,
        currency=case.invoice.currency,
        step=request.row.rung,
        days_overdue=looked.verdict.days_overdue or 0,
    )
    demand = Demand(
        case_id=case.id,
        reminders_sent=looked.verdict.reminders,
        approved_by=None,
        deadline=looked.place.day(now) + timedelta(days=deadline_days),
    )
    return Message(
        at=now,
        customer_id=case.customer_id,
        customer_name=state.name,
        stage="demand",
        step=request.row.rung,
        tone="final",
        channels=["email", "letter"],
        items=[item],
        template="demand",
        demand=demand,
    )


async def render(preview: Preview, notifier: httpx.AsyncClient, seller: UUID) -> Preview:
    """Adds the wording; without an answer the data stand alone and `note` says so."""
    if preview.message is None:
        return preview
    body = preview.message.model_dump(mode="json")
    try:
        answer = await notifier.post(
            "/v1/templates/preview", json=body, headers={SELLER_HEADER: str(seller)}, timeout=PREVIEW_SECONDS
        )
        answer.raise_for_status()
        rendered = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        log.warning("preview not rendered", error=type(error).__name__)
        note = f"notifier-svc did not render it ({type(error).__name__}); these are the data it would render."
        return preview.model_copy(update={"note": note})
    return preview.model_copy(update={"rendered": rendered})
