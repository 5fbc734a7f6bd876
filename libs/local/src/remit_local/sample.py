"""The shipped sample: 12 customers, 40 invoices and what happened, as days from the day of the first start."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date, time, timedelta
from importlib.resources import files
from typing import Any

from remit_local.agenda import Input, Kind
from remit_local.cells import parse_amount
from remit_local.ledger import LedgerRow
from remit_local.ledger_agenda import entered_from, inputs, payment_body, zones
from remit_service.zones import instant

LAPSE_DAYS = 45

SELLER: dict[str, Any] = {
    "name": "Beispiel & Co. Software",
    "country": "DE",
    "language": "en",
    "address": "Musterweg 1\n10115 Berlin",
    "sender_email": "billing@beispiel-software.example",
    "reply_to": "accounts@beispiel-software.example",
    "phone": "+493012345678",
    "sms_from": "Beispiel",
    "iban": "DE02120300000000202051",
    "bic": "BYLADEM1001",
    "bank_name": "Musterbank",
    "payment_link": "https://pay.beispiel-software.example/i",
    "account_manager": "Mara Lind",
}


def sample_rows(first_start: date) -> list[LedgerRow]:
    """The sample's invoices with the dates they have for an installation first started on that day."""
    customers = {row["customer_id"]: row for row in _read("customers.csv")}
    return [_row(line, cells, customers, first_start) for line, cells in enumerate(_read("invoices.csv"), start=2)]


def sample_inputs(first_start: date) -> list[Input]:
    """Everything that happens in the time-lapse, which begins `LAPSE_DAYS` before the first start."""
    begin = first_start - timedelta(days=LAPSE_DAYS)
    rows = entered_from(sample_rows(first_start), begin)
    by_number = {row.invoice_number: row for row in rows}
    return [*inputs(rows, begin), *_happenings(by_number, first_start)]


def _happenings(rows: dict[str, LedgerRow], first_start: date) -> Iterator[Input]:
    for cells in _read("happenings.csv"):
        row = rows[cells["invoice_number"]]
        day = first_start + timedelta(days=int(cells["day"]))
        at = instant(day, time(int(cells["hour"])), zones(row)[0])
        kind, body = _happening(cells, row, day, first_start)
        yield Input(at, kind, row.invoice_number, body)


def _happening(cells: dict[str, str], row: LedgerRow, day: date, first_start: date) -> tuple[Kind, dict[str, Any]]:
    about = {"invoice_number": row.invoice_number}
    amount = parse_amount(cells["amount"], row.currency) if cells["amount"] else None
    match cells["what"]:
        case "payment":
            body = payment_body(row, day, f"card-{row.invoice_number}")
            return Kind.LATE_PAYMENT, body | {"amount_minor": amount, "currency": row.currency}
        case "dispute":
            return Kind.DISPUTE, about | {"reason": cells["note"]}
        case "promise":
            on = first_start + timedelta(days=int(cells["until"]))
            return Kind.PROMISE, about | {"on": on.isoformat(), "amount_minor": amount}
        case "hold":
            return Kind.HOLD, about | {"reason": cells["note"]}
        case other:
            raise ValueError(f"happenings.csv: {other!r} is nothing that happens")


def _row(line: int, cells: dict[str, str], customers: dict[str, dict[str, str]], first_start: date) -> LedgerRow:
    customer = customers[cells["customer_id"]]
    days = {name: first_start + timedelta(days=int(cells[name])) for name in ("issued", "due", "paid") if cells[name]}
    profile = customer["profile"]
    return LedgerRow(
        line=line,
        customer_id=customer["customer_id"],
        customer_name=customer["customer_name"],
        country=customer["country"],
        invoice_number=cells["invoice_number"],
        issue_date=days["issued"],
        due_date=days.get("due"),
        amount_minor=parse_amount(cells["amount"], cells["currency"]),
        currency=cells["currency"],
        profile=profile,
        email=customer["email"] or None,
        phone=customer["phone"] or None,
        timezone=customer["timezone"] or None,
        language=customer["language"] or None,
        paid_date=days.get("paid"),
        sms_consent=customer["sms_consent"] == "yes",
        address=customer["address"] or None,
    )


def _read(name: str) -> list[dict[str, str]]:
    text = files("remit_local.sample_data").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(keepends=True)))
