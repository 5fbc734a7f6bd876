"""A ledger as a time-lapse's agenda: customers at the start, invoices at 08:00 and payments at 00:00 customer time.

A customer without a zone in a country with several may be in any of them: an invoice is issued when it is 08:00 in
the last of them, a payment recorded when its day begins in the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from remit_local.agenda import Input, Kind
from remit_local.ledger import LedgerRow
from remit_service.zones import instant, zones_of

ISSUE_AT = time(8)
PAY_AT = time()


def zones(row: LedgerRow) -> tuple[str, ...]:
    """The zones the customer may be in, the main one first."""
    return (row.timezone,) if row.timezone else zones_of(row.country) or ("UTC",)


def issued_at(row: LedgerRow, on: date) -> datetime:
    """08:00 at the customer's place on that day."""
    return max(instant(on, ISSUE_AT, zone) for zone in zones(row))


def paid_at(row: LedgerRow, on: date) -> datetime:
    """00:00 at the customer's place on the day of payment."""
    return min(instant(on, PAY_AT, zone) for zone in zones(row))


def entered_from(rows: Iterable[LedgerRow], first: date) -> list[LedgerRow]:
    """What is still to be followed on `first`: invoices paid before it are left out."""
    return [row for row in rows if row.paid_date is None or row.paid_date >= max(first, row.issue_date)]


def inputs(rows: Sequence[LedgerRow], first: date | None = None) -> list[Input]:
    """Everything that happens by the ledger; with `first`, older invoices enter on that day as old debt."""
    if not rows:
        return []
    entries = [(row, max(row.issue_date, first or row.issue_date)) for row in rows]
    start = min(issued_at(row, day) for row, day in entries) - timedelta(hours=1)
    made = list(_customers(rows, start))
    for row, day in entries:
        made.extend(_of_invoice(row, day))
    return made


def ends(until: date) -> datetime:
    """The last moment of a day in UTC: `--until` is inclusive."""
    return datetime.combine(until + timedelta(days=1), time(), UTC) - timedelta(microseconds=1)


def _customers(rows: Iterable[LedgerRow], at: datetime) -> Iterator[Input]:
    """Each customer once, as the first row that names them says."""
    seen: set[str] = set()
    for row in rows:
        if row.customer_id not in seen:
            seen.add(row.customer_id)
            yield Input(at, Kind.CUSTOMER, row.customer_id, customer_body(row))


def _of_invoice(row: LedgerRow, day: date) -> Iterator[Input]:
    """An invoice that enters on that day at the customer's place, and what is paid on it."""
    number, at = row.invoice_number, issued_at(row, day)
    yield Input(at, Kind.INVOICE, number, invoice_body(row))
    if row.open_minor is not None and row.open_minor < row.amount_minor and not row.paid_date:
        # When the part came in is not in the file; the invoice enters the ledger with it.
        part = {"amount_minor": row.amount_minor - row.open_minor, "currency": row.currency}
        yield Input(at, Kind.LATE_PAYMENT, number, payment_body(row, day, f"part-{number}") | part)
    if row.paid_date:
        paid = paid_at(row, row.paid_date)
        body = payment_body(row, row.paid_date, f"paid-{number}") | {"settle": True}
        late = paid <= at
        yield Input(max(paid, at), Kind.LATE_PAYMENT if late else Kind.PAYMENT, number, body)


def customer_body(row: LedgerRow) -> dict[str, Any]:
    """A customer as POST /v1/customers/batch takes them; without a profile they count as an individual."""
    body = {
        "external_id": row.customer_id,
        "name": row.customer_name,
        "profile": row.profile,
        "country": row.country,
        "timezone": row.timezone,
        "language": row.language,
        "email": row.email,
        "phone": row.phone,
        "address": row.address,
        "sms_consent": row.sms_consent,
    }
    return {name: value for name, value in body.items() if value is not None}


def invoice_body(row: LedgerRow) -> dict[str, Any]:
    body = {
        "customer_external_id": row.customer_id,
        "number": row.invoice_number,
        "external_id": row.invoice_number,
        "issue_date": row.issue_date.isoformat(),
        "due_date": row.due_date.isoformat() if row.due_date else None,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "disputed": row.disputed,
    }
    return {name: value for name, value in body.items() if value is not None}


def payment_body(row: LedgerRow, on: date, reference: str) -> dict[str, Any]:
    return {"invoice_number": row.invoice_number, "reference": reference, "received_on": on.isoformat()}
