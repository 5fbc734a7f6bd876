"""What a case asks people to do."""

from __future__ import annotations

from datetime import datetime, timedelta

from uuid6 import uuid7

from escalation_svc.book import Book
from escalation_svc.moments import Place
from escalation_svc.records import Case


def add(book: Book, case: Case, kind: str, rung: str, note: str, place: Place, due_days: int, now: datetime) -> None:
    """Puts a task before a person; `due_days` count from today at the customer's place."""
    book.new_tasks.append(
        {
            "id": uuid7(),
            "seller_id": case.seller_id,
            "customer_id": case.customer_id,
            "case_id": case.id,
            "kind": kind,
            "rung": rung,
            "note": note,
            "status": "open",
            "due_on": place.day(now) + timedelta(days=due_days),
            "created_at": now,
        }
    )
