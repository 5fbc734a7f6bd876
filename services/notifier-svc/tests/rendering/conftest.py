"""Messages to render: a seller, customers and invoices with every field set, built from what a test cares about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from notifier_svc.rendering import MessageContext, PaymentInfo
from remit_events.schedule import Demand, Item
from remit_events.state import CustomerState, InvoiceState, SellerState, Stage, Tone

TODAY = date(2026, 4, 7)
ID = UUID(int=7)

SELLER: dict[str, Any] = {
    "id": ID,
    "name": "Brightwater GmbH",
    "country": "DE",
    "language": "en",
    "address": "Lindenstraße 12\n10969 Berlin",
    "sender_email": "billing@brightwater.example",
    "reply_to": "accounts@brightwater.example",
    "phone": "+49 30 1234567",
    "iban": "DE89370400440532013000",
    "bic": "COBADEFFXXX",
    "bank_name": "Spreebank",
    "payment_link": "https://pay.brightwater.example/i",
    "account_manager": "Miriam Vogel",
    "version": 1,
}
CUSTOMER: dict[str, Any] = {
    "id": ID,
    "external_id": "C-1042",
    "name": "Northwind Traders",
    "profile": "business",
    "country": "DE",
    "language": "en",
    "address": "Hafenweg 3\n20457 Hamburg",
    "version": 1,
}


def _item(
    number: str = "1001",
    days: int = 7,
    amount: int = 120_000,
    currency: str = "EUR",
    *,
    paid: int = 0,
    disputed: int = 0,
    due: date | None = None,
    has_due: bool = True,
) -> Item:
    due = due or TODAY - timedelta(days=days)
    invoice = InvoiceState(
        id=ID,
        customer_id=ID,
        number=number,
        status="issued",
        currency=currency,
        total_minor=amount + disputed + paid,
        balance_minor=amount + disputed,
        disputed_minor=disputed,
        issue_date=due - timedelta(days=30),
        due_date=due if has_due else None,
        issued_at=datetime(2026, 1, 1, tzinfo=UTC),
        version=1,
    )
    return Item(invoice=invoice, step="second", amount_minor=amount, days_overdue=days)


def _message(
    stage: str = "overdue",
    tone: str | None = "neutral",
    items: Sequence[Item] | None = None,
    *,
    seller: dict[str, Any] | None = None,
    customer: dict[str, Any] | None = None,
    demand: Demand | None = None,
    payment: PaymentInfo | None = None,
    template: str = "",
    language: str | None = "en",
    unsubscribe_url: str | None = "https://remit.example/v1/unsubscribe/abc",
    unsubscribe_mailto: str | None = None,
) -> MessageContext:
    chosen = tuple([_item()] if items is None else items)
    if stage == "demand" and demand is None:
        demand = _demand()
    if stage == "thanks" and payment is None:
        payment = PaymentInfo("TX-77", TODAY - timedelta(days=1), 120_000, "EUR")
    return MessageContext(
        seller=SellerState(**SELLER | (seller or {})),
        customer=CustomerState(**CUSTOMER | {"language": language} | (customer or {})),
        stage=Stage(stage),
        step="second",
        tone=Tone(tone) if tone else None,
        template=template,
        items=chosen,
        local_date=TODAY,
        demand=demand,
        payment=payment,
        unsubscribe_url=unsubscribe_url,
        unsubscribe_mailto=unsubscribe_mailto,
    )


def _demand(reminders: int = 4, interest: int = 1_065, compensation: int = 4_000) -> Demand:
    return Demand(
        case_id=ID,
        reminders_sent=reminders,
        approved_by="R. Sommer",
        deadline=date(2026, 4, 21),
        interest_minor=interest,
        compensation_minor=compensation,
    )


@pytest.fixture
def item() -> Callable[..., Item]:
    """One invoice of a message: `days` overdue today, `amount` asked for beside what is paid or disputed."""
    return _item


@pytest.fixture
def message() -> Callable[..., MessageContext]:
    """A message about one invoice unless items are given."""
    return _message


@pytest.fixture
def demand() -> Callable[..., Demand]:
    """The terms of a formal demand."""
    return _demand
