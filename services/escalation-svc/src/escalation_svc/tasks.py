"""What a case, or what a customer wrote, asks people to do."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from uuid6 import uuid7

from escalation_svc.book import Book
from escalation_svc.moments import Place
from escalation_svc.records import Case, Customer
from remit_events.notifications import ReplyReceived

REPLY = "reply"
_READ = (
    "The customer answered by {channel}. Read it (notifier-svc, GET /v1/replies), answer it, then complete this task: "
    "until then nothing more is sent to them."
)


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
            "reply_id": None,
            "note": note,
            "status": "open",
            "due_on": place.day(now) + timedelta(days=due_days),
            "created_at": now,
        }
    )


def read_reply(book: Book, customer: Customer, event: ReplyReceived, reply_id: UUID, now: datetime) -> None:
    """Puts what a customer wrote before a person, the same day."""
    place = customer.place()
    book.new_tasks.append(
        {
            "id": uuid7(),
            "seller_id": customer.seller_id,
            "customer_id": customer.id,
            "case_id": None,
            "kind": REPLY,
            "rung": None,
            "reply_id": reply_id,
            "note": _READ.format(channel=event.channel),
            "status": "open",
            "due_on": place.day(now) if place else now.date(),
            "created_at": now,
        }
    )
