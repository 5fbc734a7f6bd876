"""What becomes of an ordered formal demand: it goes, it is refused by the gate, or every delivery of it failed."""

from __future__ import annotations

from datetime import datetime

from escalation_svc import tasks
from escalation_svc.book import Book
from escalation_svc.evaluate import MAYBE_ARRIVED
from escalation_svc.records import ApprovalRow, Case, RungRow
from remit_events.state import Stage

NOT_SENT = "demand-not-sent"
# By these it was over, not in the way of anything: when money is owed again after all, it is ordered again.
OVER = frozenset({"paid", "void"})
_NOTE = (
    "The formal demand could not be sent ({rule}). Find another way to reach the customer, then re-open the case "
    "to have it ordered again."
)


def ordered(case: Case) -> RungRow | None:
    """The standing formal demand of a case."""
    return next((row for row in case.standing() if row.action == "formal_demand"), None)


def refused(book: Book, case: Case, step: str, rule: str, now: datetime) -> None:
    """The scheduler will not send it: unless it was over, a person must look, the ladder does not go on by itself."""
    rung = ordered(case)
    if rung is not None and rung.key == step:
        _refuse(book, case, rung, rule, now)


def follow(book: Book, case: Case, now: datetime) -> None:
    """Refused when all its deliveries failed; refused no longer when one went out after all, or when it was over."""
    rung = ordered(case) if case.escalated else None
    if rung is None:
        return
    if rung.refused_rule in OVER:
        rung.withdrawn_at = now
        book.changed_rungs.append((case, rung))
        return
    statuses = {row.status for row in case.contacts.values() if row.stage is Stage.DEMAND}
    if "sent" in statuses and rung.refused_rule is not None:
        rung.refused_rule = None
        book.changed_rungs.append((case, rung))
        book.closed_tasks[case.id, NOT_SENT] = "the demand was sent after all"
    elif "failed" in statuses and not statuses & MAYBE_ARRIVED:
        _refuse(book, case, rung, "undeliverable", now)


def _refuse(book: Book, case: Case, rung: RungRow, rule: str, now: datetime) -> None:
    place = book.customer(case).place()
    if rung.refused_rule is not None or place is None:
        return
    rung.refused_rule = rule
    book.changed_rungs.append((case, rung))
    book.touch(case)
    if rule not in OVER:
        tasks.add(book, case, NOT_SENT, rung.key, _NOTE.format(rule=rule), place, 1, now)


def reopen(book: Book, case: Case, by: str, reason: str, now: datetime) -> list[str]:
    """Lets refused approvals be asked again and a demand that will not go be ordered again; gives their rungs."""
    changed = [row.rung for row in case.approvals if row.status == "rejected"]
    for row in list(case.approvals):
        if row.status == "rejected":
            _reopened(book, case, row, by, reason, now)
    rung = ordered(case)
    if rung is not None and rung.refused_rule is not None:
        rung.withdrawn_at = now
        book.changed_rungs.append((case, rung))
        book.closed_tasks[case.id, NOT_SENT] = f"re-opened by {by}"
        changed.append(rung.key)
    if changed:
        book.touch(case)
    return changed


def _reopened(book: Book, case: Case, row: ApprovalRow, by: str, reason: str, now: datetime) -> None:
    row.status, row.decided_at, row.decided_by, row.reason = "reopened", now, by, reason
    book.approve(case, row)
