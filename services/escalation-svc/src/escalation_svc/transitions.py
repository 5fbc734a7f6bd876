"""What happens to a case: frozen and planned, a rung asked for, taken or refused, closed. Each gives its events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from uuid6 import uuid7

from escalation_svc import demands, tasks
from escalation_svc.book import Book
from escalation_svc.evaluate import Verdict, evaluate, outcome
from escalation_svc.evidence import digest, evidence
from escalation_svc.ladder import Ladder, Rung
from escalation_svc.ladders import Shelf
from escalation_svc.moments import Place
from escalation_svc.records import ApprovalRow, Case, Customer, RungRow
from remit_events.envelope import Event
from remit_events.escalations import EscalationResolved, EscalationTriggered

Approve = Literal["ask", "auto", "never"]
REMIT = "remit"

_NOTES = {
    "task": "Look at this case.",
    "service_suspension": "Suspend the service until the invoice is paid.",
    "agency": "Hand the case and its evidence over to the collections agency.",
    "legal": "Prepare the case and its evidence for legal action.",
}


@dataclass(frozen=True, slots=True)
class Rules:
    """How this installation escalates. `settle`: what the day's steps get before rungs are looked at."""

    approve: Approve = "ask"
    approve_as: str = "simulation"
    settle: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Look:
    """One case looked at: its customer's place, its ladder and the verdict on a local date."""

    place: Place
    ladder: Ladder | None
    verdict: Verdict


def look(book: Book, shelf: Shelf, case: Case, now: datetime) -> Look | None:
    """The verdict on a case today; None while nothing is known of its customer."""
    customer = book.customer(case)
    place = customer.place()
    if place is None:
        return None
    ladder = shelf.of(case, customer)
    return Look(place, ladder, evaluate(case.facts(customer, place), ladder, place.day(now)))


def settle(
    book: Book, shelf: Shelf, cases: Iterable[Case], rules: Rules, now: datetime, *, after: bool = False
) -> list[Event]:
    """Brings cases to what their facts say: closed, frozen or open, and when to look again. Triggers nothing."""
    events: list[Event] = []
    for case in cases:
        ended = outcome(case.invoice)
        before = (case.status, case.outcome, case.next_eval_at, case.replan)
        if ended:
            events += _close(book, case, ended, now)
        else:
            case.outcome = None
            demands.follow(book, case, now)
            _plan(book, shelf, case, rules, now, after)
        if before != (case.status, case.outcome, case.next_eval_at, case.replan):
            book.touch(case)
    return events


def _plan(book: Book, shelf: Shelf, case: Case, rules: Rules, now: datetime, after: bool) -> None:
    looked = look(book, shelf, case, now)
    case.replan = False
    if looked is None:
        case.status, case.next_eval_at = "open", None
        return
    verdict = looked.verdict
    case.status, case.next_eval_at = verdict.status, None
    if verdict.not_before is None or (rules.approve == "never" and _asks(book, case, verdict)):
        return
    case.next_eval_at = looked.place.next_evaluation(verdict.not_before, now, rules.settle, after=after)


def _asks(book: Book, case: Case, verdict: Verdict) -> bool:
    return bool(verdict.rung and verdict.rung.needs_approval(profile(book.customer(case))))


def profile(customer: Customer) -> str:
    return customer.state.profile if customer.state else "individual"


def _close(book: Book, case: Case, ended: Literal["paid", "settled", "void"], now: datetime) -> list[Event]:
    if case.status == "closed":
        return []
    case.status, case.outcome, case.next_eval_at, case.replan = "closed", ended, None, False
    pending = case.pending()
    if pending:
        pending.status, pending.decided_at, pending.decided_by = "expired", now, REMIT
        pending.reason = f"the invoice is {ended}"
        book.approve(case, pending)
    if case.escalated:
        book.closed_tasks[case.id, None] = f"the invoice is {ended}"
    if not case.standing():
        return []
    return [
        EscalationResolved(
            seller_id=case.seller_id,
            customer_id=case.customer_id,
            case_id=case.id,
            invoice_id=case.invoice.id,
            outcome=ended,
        )
    ]


def ask(book: Book, shelf: Shelf, case: Case, looked: Look, rung: Rung, now: datetime) -> ApprovalRow:
    """Puts a rung before a person, with the facts as they stand."""
    if looked.ladder is None or not looked.verdict.may_take:
        raise ValueError(f"{rung.key} may not be asked for today")
    found = evidence(case, looked.ladder, rung, profile(book.customer(case)))
    row = ApprovalRow(uuid7(), rung.key, rung.action, "pending", found, digest(found), requested_at=now)
    shelf.pin(case, looked.ladder)
    case.escalated = True
    book.approve(case, row)
    return row


def decide(book: Book, case: Case, row: ApprovalRow, status: str, by: str, reason: str | None, now: datetime) -> None:
    """Closes an approval as approved or rejected."""
    row.status, row.decided_at, row.decided_by, row.reason = status, now, by, reason
    book.approve(case, row)


def take(
    book: Book, shelf: Shelf, case: Case, looked: Look, rung: Rung, approved_by: str | None, now: datetime
) -> EscalationTriggered:
    """Triggers a rung: its history row, a task where people act on it, and the event."""
    ladder, verdict, today = looked.ladder, looked.verdict, looked.place.day(now)
    if ladder is None or not verdict.may_take or verdict.rung != rung or verdict.days_overdue is None:
        raise ValueError(f"{rung.key} may not be taken today")
    found = evidence(case, ladder, rung, profile(book.customer(case)))
    deadline = today + timedelta(days=rung.deadline_days) if rung.deadline_days is not None else None
    row = RungRow(
        key=rung.key,
        attempt=1 + sum(1 for old in case.rungs if old.key == rung.key),
        action=rung.action,
        triggered_at=now,
        triggered_on=today,
        approved_by=approved_by,
        reminders_sent=verdict.reminders,
        days_overdue=verdict.days_overdue,
        balance_minor=case.invoice.balance_minor,
        ladder_key=ladder.key,
        ladder_version=ladder.version,
        evidence=found,
        evidence_sha256=digest(found),
        demand_deadline=deadline,
    )
    shelf.pin(case, ladder)
    case.escalated = True
    case.rungs.append(row)
    book.new_rungs.append((case, row))
    book.touch(case)
    if rung.action != "formal_demand":
        tasks.add(book, case, rung.action, rung.key, rung.note or _NOTES[rung.action], looked.place, rung.due_days, now)
    return _triggered(case, row, rung)


def _triggered(case: Case, row: RungRow, rung: Rung) -> EscalationTriggered:
    values: dict[str, Any] = {"action": rung.action, "stops_chasing": rung.stops_chasing}
    return EscalationTriggered(
        seller_id=case.seller_id,
        customer_id=case.customer_id,
        case_id=case.id,
        invoice=case.invoice,
        rung=row.key,
        approved_by=row.approved_by,
        reminders_sent=row.reminders_sent,
        days_overdue=row.days_overdue,
        balance_minor=row.balance_minor,
        ladder_key=row.ladder_key,
        ladder_version=row.ladder_version,
        evidence_sha256=row.evidence_sha256,
        demand_deadline=row.demand_deadline,
        **values,
    )
