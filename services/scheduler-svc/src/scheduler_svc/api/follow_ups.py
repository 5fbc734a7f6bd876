"""`/v1/follow-ups`: what is followed, what comes next for one invoice, and letting an old debt go on."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import Date, Row, and_, case, cast, exists, func, select

from remit_events.session import Session
from remit_events.state import Channel, Tone
from remit_service.api import Listing, Now, PageDep, Router, SessionDep, paginate, problem_responses
from remit_service.bulk import fetch
from remit_service.problems import conflict, not_found
from scheduler_svc import shelving
from scheduler_svc import tables as t
from scheduler_svc.api.wiring import (
    ID,
    NUMBER,
    CustomerQuery,
    InvoicePath,
    Reader,
    WiringDep,
    Writer,
    example,
    of_customer,
    of_invoice,
)
from scheduler_svc.book import Book
from scheduler_svc.channels import reach
from scheduler_svc.foresight import Outlook, outlook
from scheduler_svc.invoice_facts import release_review
from scheduler_svc.ledger import Debtor, Ledger
from scheduler_svc.loading import ONE, load
from scheduler_svc.plan import REVIEW_AFTER_DAYS
from scheduler_svc.policies import PolicyCache

router = Router(prefix="/v1/follow-ups", tags=["follow-ups"])

_HORIZON = timedelta(days=400)

Standing = Literal["following", "waiting", "in-flight", "exhausted", "closed"]


class FollowUpOut(BaseModel):
    """An invoice being followed. `waiting_for`: the rules that hold steps of it back; money in minor units.

    `under_review`: it was more than 180 days overdue when it came in, and waits for a person to release it.
    `ignored_policy_key`: the policy that the invoice or its customer names and that there is, or was, none of.
    """

    model_config = example(
        invoice_id=ID,
        number=NUMBER,
        customer_id=ID,
        customer_external_id="C-17",
        customer_name="Alster Logistik GmbH",
        standing="following",
        currency="EUR",
        balance_minor=119000,
        due_date="2026-03-02",
        policy_key="business",
        policy_version=1,
        ignored_policy_key=None,
        under_review=False,
        escalated=None,
        waiting_for=[],
        next_at="2026-03-09T08:00:00Z",
    )

    invoice_id: UUID
    number: str
    customer_id: UUID
    customer_external_id: str | None
    customer_name: str | None
    standing: Standing
    currency: str
    balance_minor: int
    due_date: date | None
    policy_key: str
    policy_version: int
    ignored_policy_key: str | None
    under_review: bool
    escalated: Literal["demand", "stopped"] | None
    waiting_for: list[str]
    next_at: datetime | None


class StepOut(BaseModel):
    """One step: what became of it, or when it will go if nothing but time changes.

    `state`: sent, merged, suppressed, skipped (with `rule`), in-flight, waiting, planned, or never (it falls on or
    before the issue day). `at` is when that was or will be; `foreseen`: it has not been yet.
    """

    model_config = example(
        step="second",
        offset=7,
        tone="neutral",
        channels=["email", "sms"],
        reachable=["email"],
        falls_on="2026-03-09",
        state="planned",
        rule=None,
        at="2026-03-09T08:00:00Z",
        until=None,
        inputs={},
        foreseen=True,
    )

    step: str
    offset: int
    tone: Tone
    channels: list[Channel]
    reachable: list[Channel] = Field(description="By which of them, or by what instead, it would go as things are.")
    falls_on: date | None
    state: Literal["sent", "merged", "suppressed", "skipped", "in-flight", "waiting", "planned", "never"]
    rule: str | None
    at: datetime | None
    until: datetime | None
    inputs: dict[str, Any]
    foreseen: bool


class PlanOut(BaseModel):
    """Everything that was and will be done about one invoice."""

    follow_up: FollowUpOut
    steps: list[StepOut]


class Released(BaseModel):
    model_config = example(invoice_id=ID, enters_on="2026-03-02")

    invoice_id: UUID
    enters_on: date = Field(description="The day the follow-up begins from.")


_DUE_DATE = cast(t.follow_up.c.snapshot["due_date"].astext, Date)
_UNDER_REVIEW = and_(
    ~t.follow_up.c.closed,
    t.follow_up.c.reviewed_on.is_(None),
    t.follow_up.c.entered_on - func.coalesce(_DUE_DATE, t.follow_up.c.entered_on) > REVIEW_AFTER_DAYS,
)
_OF_INVOICE = t.follow_up.c.snapshot["policy_key"].astext
_OF_CUSTOMER = t.customer.c.snapshot["policy_key"].astext
_EXISTS = exists().where(
    t.policy_version.c.seller_id == t.follow_up.c.seller_id, t.policy_version.c.key == _OF_CUSTOMER
)
_IGNORED = case(
    (and_(t.follow_up.c.policy_key != _OF_INVOICE, t.follow_up.c.migrated_on.is_(None)), _OF_INVOICE),
    (~_EXISTS, _OF_CUSTOMER),
)
_CHOSEN = select(
    t.follow_up,
    t.customer.c.external_id,
    t.customer.c.snapshot.label("customer"),
    _UNDER_REVIEW.label("under_review"),
    _IGNORED.label("ignored_policy_key"),
).join(t.customer, t.customer.c.id == t.follow_up.c.customer_id)


@router.get("", summary="List the invoices that are followed up", responses=problem_responses(401, 403, 422))
async def list_follow_ups(
    session: SessionDep,
    caller: Reader,
    page: PageDep,
    customer: CustomerQuery = None,
    due_before: Annotated[AwareDatetime | None, Query(description="Only what comes next before this moment.")] = None,
    updated_since: Annotated[AwareDatetime | None, Query(description="Only what changed since.")] = None,
    closed: Annotated[bool, Query(description="Also those that are over.")] = False,
    under_review: Annotated[bool, Query(description="Only old debt that waits for a person to release it.")] = False,
) -> Listing[FollowUpOut]:
    """What is followed, in order of arrival."""
    c = t.follow_up.c
    chosen = _CHOSEN.where(c.seller_id == caller.seller_id)
    if not closed:
        chosen = chosen.where(~c.closed)
    if under_review:
        chosen = chosen.where(_UNDER_REVIEW)
    if customer is not None:
        chosen = chosen.where(of_customer(c.customer_id, caller.seller_id, customer))
    if due_before is not None:
        chosen = chosen.where(c.next_at < due_before)
    if updated_since is not None:
        chosen = chosen.where(c.updated_at >= updated_since)
    rows, next_cursor = await paginate(session, chosen, page, c.invoice_id)
    return Listing(data=[_out(row) for row in rows], next_cursor=next_cursor)


@router.get("/{invoice}/plan", summary="Show the steps of one invoice", responses=problem_responses(401, 403, 404))
async def get_plan(invoice: InvoicePath, session: SessionDep, caller: Reader, wiring: WiringDep, now: Now) -> PlanOut:
    """Each step of one invoice: what became of it or, if nothing but time changes, when it goes."""
    row = await _one(session, caller.seller_id, invoice)
    log = select(t.decision).where(t.decision.c.invoice_id == row.invoice_id, t.decision.c.demand_id.is_(None))
    logged = {one.step: one for one in await session.execute(log.order_by(t.decision.c.at, t.decision.c.id))}
    ledger, found = await _outlook(session, wiring.policies, row, now)
    steps = [_step(one, ledger.debtor, logged.get(one.step.key)) for one in found]
    return PlanOut(follow_up=_out(row), steps=steps)


@router.post(
    "/{invoice}/release",
    summary="Let old debt be followed up after review",
    responses=problem_responses(401, 403, 404, 409),
)
async def release(invoice: InvoicePath, session: SessionDep, caller: Writer, wiring: WiringDep, now: Now) -> Released:
    """Lets an invoice that was over 180 days overdue when it arrived be followed up, from today on."""
    row = await _one(session, caller.seller_id, invoice)
    book = Book(now)
    await shelving.lock_customers(session, book, {row.customer_id: caller.seller_id}, [])
    await shelving.load_follow_ups(session, book, [row.invoice_id])
    record = book.follow_ups[row.invoice_id]
    if not release_review(book, record):
        raise conflict(
            "not-under-review", f"Invoice {row.number} does not wait for review; there is nothing to release."
        )
    await shelving.write(session, book)
    session.after_commit.append(wiring.changed)
    assert record.value.reviewed_on is not None  # noqa: S101  # just set
    return Released(invoice_id=row.invoice_id, enters_on=record.value.reviewed_on)


async def _one(session: Session, seller: UUID, invoice: str) -> Row[Any]:
    c = t.follow_up.c
    found = _CHOSEN.where(c.seller_id == seller, of_invoice(c.invoice_id, c.number, invoice))
    row = (await session.execute(found.limit(1))).one_or_none()
    if row is None:
        raise not_found("followed invoice", invoice)
    return row


async def _outlook(
    session: Session, policies: PolicyCache, row: Row[Any], now: datetime
) -> tuple[Ledger, list[Outlook]]:
    customers = await fetch(session, ONE, seller=row.seller_id, id=row.customer_id)
    batch = await load(session, customers, policies, now, lock=False, also=[row.invoice_id])
    ledger = batch.ledger(batch.rows[0])
    return ledger, outlook(ledger, row.invoice_id, policies.of(row.seller_id), now, now + _HORIZON)


def _out(row: Row[Any]) -> FollowUpOut:
    invoice, steps = row.snapshot, row.progress.values()
    waiting = sorted({one["rule"] for one in steps if "rule" in one and "outcome" not in one})
    flying = any("touch" in one and "outcome" not in one for one in steps)
    standing: Standing = "in-flight" if flying else "waiting" if waiting else "following"
    if row.closed or row.exhausted:
        standing = "closed" if row.closed else "exhausted"
    return FollowUpOut(
        invoice_id=row.invoice_id,
        number=row.number,
        customer_id=row.customer_id,
        customer_external_id=row.external_id,
        customer_name=row.customer["name"] if row.customer else None,
        standing=standing,
        currency=invoice["currency"],
        balance_minor=invoice["balance_minor"],
        due_date=invoice["due_date"],
        policy_key=row.policy_key,
        policy_version=row.policy_version,
        ignored_policy_key=row.ignored_policy_key,
        under_review=row.under_review,
        escalated=row.escalated,
        waiting_for=waiting,
        next_at=row.next_at,
    )


def _step(one: Outlook, debtor: Debtor, logged: Row[Any] | None) -> StepOut:
    at, rule, inputs, until = one.at, one.rule, one.inputs, one.until
    if logged is not None and one.state in ("sent", "merged", "suppressed", "skipped") and logged.final:
        at, rule, inputs = logged.at, logged.rule, logged.inputs
    elif logged is not None and one.state == "waiting":
        inputs = logged.inputs
    return StepOut(
        step=one.step.key,
        offset=one.step.offset,
        tone=one.step.tone,
        channels=list(one.step.channels),
        reachable=list(reach(debtor, one.step.channels, required=one.step.offset > 0).channels),
        falls_on=one.falls_on,
        state=one.state,
        rule=rule,
        at=at,
        until=until,
        inputs=dict(inputs),
        foreseen=one.foreseen,
    )
