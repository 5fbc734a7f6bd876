"""Deciding about an approval: looked at again with today's facts, so that nothing is approved that no longer holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from escalation_svc import tables as t
from escalation_svc.book import Book
from escalation_svc.evaluate import Reason, evaluate
from escalation_svc.evidence import digest, evidence
from escalation_svc.ladders import Shelf, shelf, store_shipped
from escalation_svc.loading import load, lock_customers
from escalation_svc.records import ApprovalRow, Case
from escalation_svc.saving import save
from escalation_svc.transitions import Look, Rules, decide, profile, settle, take
from escalation_svc.wording import sentence
from remit_events.envelope import Event
from remit_events.outbox import emit
from remit_events.session import Session
from remit_service.problems import Problem, conflict, not_found

# What became of one that is pending no more; else it was as its status says.
_ENDED = {"expired": "has expired", "reopened": "was set aside when its case was re-opened"}


@dataclass(frozen=True, slots=True)
class Request:
    """An approval with its case under the customer's lock, and how it would be decided now."""

    book: Book
    ladders: Shelf
    case: Case
    row: ApprovalRow
    looked: Look | None
    evidence_sha256: str


async def open_request(
    session: Session, seller: UUID, approval_id: UUID, default_ladder: str, now: datetime
) -> Request:
    """Locks and loads what an approval is about. Raises a 404 problem."""
    found = select(t.approval.c.customer_id, t.case.c.invoice_id).join(t.case, t.case.c.id == t.approval.c.case_id)
    found = found.where(t.approval.c.id == approval_id, t.approval.c.seller_id == seller)
    row = (await session.execute(found)).one_or_none()
    if row is None:
        raise not_found("approval", approval_id)
    book = await load(session, await lock_customers(session, {row.customer_id: seller}), [row.invoice_id])
    ladders = await shelf(session, book, default_ladder)
    case = book.cases[row.invoice_id]
    approval = next(a for a in case.approvals if a.id == approval_id)
    return request_of(book, ladders, case, approval, now)


def request_of(book: Book, ladders: Shelf, case: Case, row: ApprovalRow, now: datetime) -> Request:
    """How a pending approval would be decided now."""
    looked = _look_without(book, ladders, case, row, now)
    sha = row.evidence_sha256
    if looked and looked.ladder and row.status == "pending" and (rung := looked.ladder.rung(row.rung)):
        sha = digest(evidence(case, looked.ladder, rung, profile(book.customer(case))))
    return Request(book, ladders, case, row, looked, sha)


def _look_without(book: Book, ladders: Shelf, case: Case, row: ApprovalRow, now: datetime) -> Look | None:
    """The verdict as if this approval were not what is waited for."""
    customer = book.customer(case)
    place = customer.place()
    if place is None:
        return None
    others = [a for a in case.approvals if a.id != row.id]
    ladder = ladders.of(case, customer)
    facts = case.facts(customer, place, others)
    return Look(place, ladder, evaluate(facts, ladder, place.day(now)))


def objections(request: Request) -> Sequence[Reason]:
    """Why the rung may not be approved now; empty when it may."""
    if request.looked is None:
        return [Reason("no-ladder")]
    verdict = request.looked.verdict
    if verdict.reasons:
        return verdict.reasons
    if verdict.rung is None or verdict.rung.key != request.row.rung:
        return [Reason("other-rung", actual=verdict.rung.key if verdict.rung else None)]
    return ()


async def approve(
    session: Session,
    request: Request,
    rules: Rules,
    *,
    by: str,
    reason: str | None,
    expected_sha256: str | None,
    now: datetime,
) -> None:
    """Takes the rung. Raises a 409 problem saying what stands in the way, and changes nothing then."""
    _require_pending(request.row)
    if rules.approve == "never":
        raise _outdated([Reason("approvals-off")])
    against = objections(request)
    looked = request.looked
    if against or looked is None or looked.verdict.rung is None:
        raise _outdated(against)
    if expected_sha256 is not None and expected_sha256 != request.evidence_sha256:
        detail = "The facts are not those you looked at. Read the preview again and approve what it says now."
        raise conflict("evidence-changed", detail, evidence_sha256=request.evidence_sha256)
    decide(request.book, request.case, request.row, "approved", by, reason, now)
    event = take(request.book, request.ladders, request.case, looked, looked.verdict.rung, by, now)
    await finish(session, request.book, request.ladders, request.case, rules, now, [event])


async def reject(session: Session, request: Request, rules: Rules, *, by: str, reason: str, now: datetime) -> None:
    """Refuses the rung: it stays untaken, and the ladder with it, until a person re-opens the case."""
    _require_pending(request.row)
    decide(request.book, request.case, request.row, "rejected", by, reason, now)
    await finish(session, request.book, request.ladders, request.case, rules, now, [])


async def finish(
    session: Session, book: Book, ladders: Shelf, case: Case, rules: Rules, now: datetime, events: Sequence[Event]
) -> None:
    """Plans the case again, saves and publishes."""
    published = [*events, *settle(book, ladders, [case], rules, now)]
    await store_shipped(session, ladders.unsaved, now=now)
    await save(session, book, now=now)
    await emit(session, published, now=now)


def _require_pending(row: ApprovalRow) -> None:
    if row.status != "pending":
        by = f" by {row.decided_by}" if row.decided_by else ""
        ended = _ENDED.get(row.status, f"was {row.status}")
        detail = f"This approval {ended}{by}; nothing was changed. List what waits with ?status=pending."
        raise conflict("approval-decided", detail, status_now=row.status)


def _outdated(against: Sequence[Reason]) -> Problem:
    said = "; ".join(sentence(reason) for reason in against)
    detail = (
        f"The conditions of this rung do not hold now: {said}. It stays pending; approve it when they do, or reject it."
    )
    changed = [{"rule": r.rule, "needed": r.needed, "actual": r.actual, "until": r.until} for r in against]
    return conflict("approval-outdated", detail, changed=changed)
