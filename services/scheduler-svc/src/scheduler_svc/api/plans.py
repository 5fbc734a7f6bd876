"""`/v1/plans`: every message that would leave until a moment, and everyone who would be skipped, with why."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime, BaseModel

from remit_events.schedule import Demand
from remit_events.state import Channel, Stage, Tone
from remit_service.api import Now, PageDep, Router, SessionDep, decode_cursor, encode_cursor, problem_responses
from remit_service.bulk import fetch
from remit_service.problems import invalid
from scheduler_svc.api.wiring import ID, NUMBER, Reader, WiringDep, example
from scheduler_svc.ledger import Debtor, Ledger
from scheduler_svc.loading import FOLLOWED, load
from scheduler_svc.preview import Foreseen, foresee
from scheduler_svc.work import Decision, Touch

router = Router(prefix="/v1/plans", tags=["plans"])

LONGEST = timedelta(days=366)


class PlannedItem(BaseModel):
    invoice_id: UUID
    number: str
    amount_minor: int
    currency: str
    step: str
    days_overdue: int


class PlannedMessage(BaseModel):
    """A message that would leave: what notifier-svc's /v1/templates/preview takes."""

    model_config = example(
        at="2026-03-09T08:00:00Z",
        customer_id=ID,
        customer_external_id="C-17",
        customer_name="Alster Logistik GmbH",
        stage="overdue",
        step="second",
        tone="neutral",
        channels=["email"],
        template="second",
        items=[
            {
                "invoice_id": ID,
                "number": NUMBER,
                "amount_minor": 119000,
                "currency": "EUR",
                "step": "second",
                "days_overdue": 7,
            }
        ],
        policy_key="business",
        policy_version=1,
        demand=None,
    )

    at: datetime
    customer_id: UUID
    customer_external_id: str
    customer_name: str
    stage: Stage
    step: str
    tone: Tone
    channels: list[Channel]
    template: str
    items: list[PlannedItem]
    policy_key: str
    policy_version: int
    demand: Demand | None


class SkippedStep(BaseModel):
    """A step that would not go, or not yet: as of `at`, until `until` (null: for good, or till what holds it changes).

    `standing`: it is held back already; the row in the decision log says since when.
    """

    model_config = example(
        at="2026-03-09T08:00:00Z",
        customer_id=ID,
        customer_external_id="C-17",
        customer_name="Alster Logistik GmbH",
        invoice_id=ID,
        invoice_number=NUMBER,
        step="second",
        outcome="deferred",
        rule="minimum-gap",
        inputs={"minimum_gap_days": 1, "last_contact_on": "2026-03-09"},
        until="2026-03-10T08:00:00Z",
        standing=False,
    )

    at: datetime
    customer_id: UUID
    customer_external_id: str
    customer_name: str
    invoice_id: UUID
    invoice_number: str
    step: str
    outcome: Literal["merged", "suppressed", "skipped", "deferred"]
    rule: str
    inputs: dict[str, Any]
    until: datetime | None
    standing: bool


class Plans(BaseModel):
    """By customer, then by time; `next_cursor` leads to the next customers."""

    data: list[PlannedMessage]
    skipped: list[SkippedStep]
    next_cursor: str | None


@router.get("", summary="Foresee what would be sent", responses=problem_responses(401, 403, 422))
async def get_plans(
    session: SessionDep,
    caller: Reader,
    wiring: WiringDep,
    page: PageDep,
    now: Now,
    until: Annotated[AwareDatetime | None, Query(description="By default 14 days from now; at most 366.")] = None,
) -> Plans:
    """What would happen if nothing but time changed, each message assumed sent; `limit` counts customers."""
    until = until or now + timedelta(days=14)
    if until > now + LONGEST:
        raise invalid("until", "too-far", "Plans reach 366 days ahead at most; ask for less.", until.isoformat())
    after = str(decode_cursor(page.cursor, 1)[0]) if page.cursor else ""
    rows = await fetch(session, FOLLOWED, seller=caller.seller_id, after=after, limit=page.limit + 1)
    batch = await load(session, rows[: page.limit], wiring.policies, now, lock=False)
    messages: list[PlannedMessage] = []
    skipped: list[SkippedStep] = []
    for row in batch.rows:
        ledger = batch.ledger(row)
        skipped += _standing(ledger, now)
        for look in foresee(ledger, wiring.policies.of(row.seller_id), now, until):
            messages += [_message(ledger.debtor, touch, look.at) for touch in look.review.touches]
            skipped += _skipped(ledger.debtor, look)
        await asyncio.sleep(0)  # others want their turn
    more = len(rows) > page.limit
    return Plans(
        data=messages, skipped=skipped, next_cursor=encode_cursor([batch.rows[-1].external_id]) if more else None
    )


def _message(debtor: Debtor, touch: Touch, at: datetime) -> PlannedMessage:
    return PlannedMessage(
        at=at,
        **_whom(debtor),
        stage=touch.stage,
        step=touch.step,
        tone=touch.tone,
        channels=list(touch.channels),
        template=touch.template,
        items=[
            PlannedItem(
                invoice_id=item.invoice.id,
                number=item.invoice.number,
                amount_minor=item.amount_minor,
                currency=item.invoice.currency,
                step=item.step,
                days_overdue=item.days_overdue,
            )
            for item in touch.content
        ],
        policy_key=touch.policies[0].key,
        policy_version=touch.policies[0].version,
        demand=touch.demand,
    )


def _whom(debtor: Debtor) -> dict[str, Any]:
    return {
        "customer_id": debtor.id,
        "customer_external_id": debtor.external_id,
        "customer_name": debtor.name,
    }


def _skipped(debtor: Debtor, look: Foreseen) -> Iterator[SkippedStep]:
    for decision in look.review.decisions:
        yield _row(debtor, decision, look.at)
    for touch in look.review.touches:
        for item, content in zip(touch.items, touch.content, strict=True):
            for step in item.merged:
                yield SkippedStep(
                    at=look.at,
                    **_whom(debtor),
                    invoice_id=item.invoice_id,
                    invoice_number=content.invoice.number,
                    step=step,
                    outcome="merged",
                    rule="harder-step",
                    inputs={"harder_step": item.step},
                    until=None,
                    standing=False,
                )


def _row(debtor: Debtor, decision: Decision, at: datetime) -> SkippedStep:
    assert decision.outcome != "sent"  # noqa: S101  # a review sends by touches
    return SkippedStep(
        at=at,
        **_whom(debtor),
        invoice_id=decision.invoice.id,
        invoice_number=decision.invoice.number,
        step=decision.step,
        outcome=decision.outcome,
        rule=decision.rule,
        inputs=dict(decision.inputs),
        until=decision.until,
        standing=False,
    )


def _standing(ledger: Ledger, now: datetime) -> Iterator[SkippedStep]:
    """What is held back already: steps, demands, and failed messages that wait to go on another channel."""
    invoices = {one.id: one.invoice for one in ledger.follow_ups}
    waiting = [(one.id, step, progress) for one in ledger.follow_ups for step, progress in one.progress.items()]
    waiting += [(demand.invoice_id, demand.rung, demand.progress) for demand in ledger.demands]
    for invoice_id, step, progress in sorted(waiting, key=lambda found: invoices[found[0]].number):
        if progress.rule and not progress.is_final:
            yield SkippedStep(
                at=now,
                **_whom(ledger.debtor),
                invoice_id=invoice_id,
                invoice_number=invoices[invoice_id].number,
                step=step,
                outcome="deferred",
                rule=progress.rule,
                inputs={},
                until=progress.until,
                standing=True,
            )
