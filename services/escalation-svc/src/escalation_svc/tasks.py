"""What a case, or what a customer wrote, asks people to do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from uuid6 import uuid7

from escalation_svc.book import Book
from escalation_svc.moments import Place
from escalation_svc.records import Case, Customer
from remit_events.notifications import ReplyReceived
from remit_events.state import InvoiceState

REPLY = "reply"
INVOICE_NOT_SENT = "invoice-not-sent"
_READ = (
    "The customer answered by {channel}. Read it (notifier-svc, GET /v1/replies), answer it, then complete this task: "
    "until then nothing more is sent to them."
)
_SEND = "The invoice itself did not reach the customer ({why}). Send it another way, and correct how to reach them."


def add(
    book: Book, case: Case, kind: str, rung: str | None, note: str, place: Place | None, due_days: int, now: datetime
) -> None:
    """Puts a task before a person; `due_days` count from today at the customer's place, if that is known."""
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
            "due_on": (place.day(now) if place else now.date()) + timedelta(days=due_days),
            "created_at": now,
        }
    )


def send_invoices(book: Book, invoices: Iterable[InvoiceState], why: str, now: datetime) -> None:
    """Puts before a person that these invoices reached nobody, the same day."""
    for invoice in invoices:
        case = book.cases[invoice.id]
        add(book, case, INVOICE_NOT_SENT, None, _SEND.format(why=why), book.customer(case).place(), 0, now)


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
