"""Issuing by the thousand: the event's JSON straight from the invoice.

`InvoiceIssued` as two models, built and dumped, cost more than all else an import's row does; tests/test_issued.py
holds that both ways write the same.
"""

from __future__ import annotations

from datetime import date, datetime
from json.encoder import encode_basestring

from invoice_svc.customers import held
from invoice_svc.invoices import Invoice
from remit_events.invoices import InvoiceIssued
from remit_events.outbox import Written


def issue(invoice: Invoice, number: str, issue_date: date, now: datetime) -> Written:
    """As `Invoice.issue`, with its event written."""
    invoice.make_final(number, issue_date, now)
    return Written(InvoiceIssued, invoice.id, invoice.version, invoice.customer_id, written(invoice))


def written(one: Invoice) -> str:
    """What `InvoiceIssued(...).model_dump_json()` gives of it."""
    if one.number is None or one.issued_at is None:
        raise AssertionError("a draft has no state to publish")
    hold, promise = held(one.hold_reason, one.hold_until), one.promise
    return (
        f'{{"seller_id":"{one.seller_id}","customer_id":"{one.customer_id}","invoice":{{"id":"{one.id}",'
        f'"customer_id":"{one.customer_id}","number":{encode_basestring(one.number)},'
        f'"external_id":{_text(one.external_id)},"status":"{one.status}","currency":{encode_basestring(one.currency)},'
        f'"total_minor":{one.total_minor},"balance_minor":{one.balance_minor},"disputed_minor":{one.contested_minor},'
        f'"issue_date":{_day(one.issue_date)},"due_date":{_day(one.due_date)},"issued_at":"{_moment(one.issued_at)}",'
        f'"version":{one.version},"policy_key":{_text(one.policy_key)},'
        f'"hold":{hold.model_dump_json() if hold else "null"},'
        f'"promise":{promise.model_dump_json() if promise else "null"},'
        f'"promises_broken":{one.promises_broken},"payment_in_flight":false}}}}'
    )


def _text(text: str | None) -> str:
    return "null" if text is None else encode_basestring(text)


def _day(day: date | None) -> str:
    return "null" if day is None else f'"{day.isoformat()}"'


def _moment(moment: datetime) -> str:
    text = moment.isoformat()
    return text[:-6] + "Z" if text.endswith("+00:00") else text
