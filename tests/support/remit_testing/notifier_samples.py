"""Sellers, customers, invoices and messages with sensible values, for tests that care about one of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from uuid6 import uuid7

from notifier_svc.providers import Outgoing
from remit_events.schedule import Demand
from remit_events.state import Channel, CustomerState, InvoiceState, SellerState, Stage


def new_seller(**given: Any) -> SellerState:
    values: dict[str, Any] = {
        "id": uuid7(),
        "name": "Nordlicht GmbH",
        "country": "DE",
        "address": "Hafenweg 4, 24103 Kiel",
        "sender_email": "billing@nordlicht.example",
        "reply_to": "accounts@nordlicht.example",
        "sms_from": "+4915112345678",
        "iban": "DE89370400440532013000",
        "version": 1,
    }
    return SellerState(**(values | given))


def new_customer(**given: Any) -> CustomerState:
    identity = uuid7()
    values: dict[str, Any] = {
        "id": identity,
        "external_id": f"C-{identity.hex[-6:]}",
        "name": "Muster & Söhne",
        "profile": "business",
        "country": "DE",
        "timezone": "Europe/Berlin",
        "language": "en",
        "email": f"ap-{identity.hex[-8:]}@muster.example",
        "phone": "+4917612345678",
        "address": "Marktplatz 1, 20095 Hamburg",
        "sms_consent": True,
        "version": 1,
    }
    return CustomerState(**(values | given))


def new_invoice(customer: CustomerState, **given: Any) -> InvoiceState:
    identity = uuid7()
    values: dict[str, Any] = {
        "id": identity,
        "customer_id": customer.id,
        "number": f"R-{identity.hex[-5:]}",
        "status": "issued",
        "currency": "EUR",
        "total_minor": 11900,
        "balance_minor": 11900,
        "issue_date": date(2026, 1, 20),
        "due_date": date(2026, 2, 20),
        "issued_at": datetime(2026, 1, 20, 8, tzinfo=UTC),
        "version": 1,
    }
    return InvoiceState(**(values | given))


def demand_terms(**given: Any) -> Demand:
    values: dict[str, Any] = {
        "case_id": uuid7(),
        "reminders_sent": 3,
        "approved_by": "Mara Lind",
        "deadline": date(2026, 3, 16),
    }
    return Demand(**(values | given))


def outgoing(**given: Any) -> Outgoing:
    identity = uuid7()
    made = Outgoing(
        delivery_id=identity,
        channel=Channel.EMAIL,
        recipient="ap@muster.example",
        customer_name="Muster & Söhne",
        customer_key="C-17",
        seller=new_seller(),
        stage=Stage.OVERDUE,
        step="second",
        language="de",
        message_id=f"{identity.hex}@nordlicht.example",
        at=datetime(2026, 3, 2, 10, tzinfo=UTC),
        subject="Zahlungserinnerung: Rechnung R-1042 über 119,00 €",
        text="Guten Tag,\n.\n..\nRechnung R-1042 über 119,00 €\n",
        html="<p>Rechnung R-1042 über 119,00 €</p>",
    )
    return replace(made, **given)
