"""Examples of every body, as the OpenAPI document shows them; a test sends and checks them."""

from __future__ import annotations

from typing import Any

SELLER_ID = "0199a0c2-5a00-7000-8000-000000000001"
CUSTOMER_ID = "0199a0c2-5a00-7000-8000-000000000002"
INVOICE_ID = "0199a0c2-5a00-7000-8000-000000000003"
PAYMENT_ID = "0199a0c2-5a00-7000-8000-000000000004"
DISPUTE_ID = "0199a0c2-5a00-7000-8000-000000000005"
PROMISE_ID = "0199a0c2-5a00-7000-8000-000000000006"
KEY_ID = "0199a0c2-5a00-7000-8000-000000000007"
IMPORT_ID = "0199a0c2-5a00-7000-8000-000000000008"
EVENT_ID = "0199a0c2-5a00-7000-8000-000000000009"
AT = "2026-03-02T09:30:00Z"

SELLER_IN: dict[str, Any] = {
    "name": "Nordlicht Studio GmbH",
    "country": "DE",
    "language": "de",
    "address": "Hafenstraße 1\n20457 Hamburg",
    "sender_email": "billing@nordlicht.example",
    "reply_to": "accounts@nordlicht.example",
    "phone": "+4940123456",
    "sms_from": "Nordlicht",
    "iban": "DE89370400440532013000",
    "bic": "COBADEFFXXX",
    "bank_name": "Commerzbank",
    "payment_link": "https://pay.nordlicht.example/",
    "account_manager": "Ines Petersen",
    "thank_you": True,
    "send_invoices": True,
}
CUSTOMER_IN: dict[str, Any] = {
    "external_id": "C-1001",
    "name": "Blumen Kessler KG",
    "profile": "business",
    "country": "DE",
    "timezone": "Europe/Berlin",
    "language": "de",
    "email": "buchhaltung@blumen-kessler.example",
    "phone": "+4930123456",
    "address": "Marktplatz 5\n10115 Berlin",
    "sms_consent": False,
}
INVOICE_IN: dict[str, Any] = {
    "customer_external_id": "C-1001",
    "number": "2026-0042",
    "external_id": "erp-778",
    "issue_date": "2026-03-02",
    "due_date": "2026-04-01",
    "amount_minor": 119_000,
    "currency": "EUR",
}
PAYMENT_IN: dict[str, Any] = {
    "invoice_number": "2026-0042",
    "amount_minor": 119_000,
    "currency": "EUR",
    "reference": "SEPA 2026-0042",
    "provider": "bank",
    "received_on": "2026-03-30",
}
IMPORT_ROW: dict[str, Any] = {
    "line": 2,
    "customer_external_id": "C-1001",
    "customer_name": "Blumen Kessler KG",
    "email": "buchhaltung@blumen-kessler.example",
    "phone": None,
    "profile": "business",
    "country": "DE",
    "timezone": "Europe/Berlin",
    "language": "de",
    "invoice_number": "2026-0042",
    "issue_date": "2026-03-02",
    "due_date": "2026-04-01",
    "amount_minor": 119_000,
    "currency": "EUR",
    "disputed": False,
    "paid_date": None,
    "open_amount_minor": None,
    "sms_consent": None,
    "address": None,
}
INVOICE_STATE: dict[str, Any] = {
    "id": INVOICE_ID,
    "customer_id": CUSTOMER_ID,
    "number": "2026-0042",
    "external_id": "erp-778",
    "status": "issued",
    "currency": "EUR",
    "total_minor": 119_000,
    "balance_minor": 119_000,
    "disputed_minor": 0,
    "issue_date": "2026-03-02",
    "due_date": "2026-04-01",
    "issued_at": AT,
    "version": 1,
    "policy_key": None,
    "hold": None,
    "promise": None,
    "promises_broken": 0,
    "payment_in_flight": False,
}
CUSTOMER_STATE: dict[str, Any] = CUSTOMER_IN | {
    "id": CUSTOMER_ID,
    "hold": None,
    "policy_key": None,
    "ladder_key": None,
    "version": 1,
}
