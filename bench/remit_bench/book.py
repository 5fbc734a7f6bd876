"""Customers and invoices as invoice-svc would tell of them: what consumers are measured with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID, uuid4

from remit_events.bus import Bus, Record
from remit_events.envelope import Event, Message
from remit_events.invoices import CustomerChanged, InvoiceIssued
from remit_events.state import CustomerState, InvoiceState

SELLER = UUID("0190a000-0000-7000-8000-00000000000a")
CHUNK = 5_000
ISSUED = date(2026, 3, 2)


def customers(count: int) -> list[CustomerState]:
    return [
        CustomerState(
            id=uuid4(),
            external_id=f"C-{n}",
            name=f"Customer {n} GmbH",
            profile="business",
            country="DE",
            timezone="Europe/Berlin",
            email=f"ap@c{n}.example",
            address=f"Street {n}, 10115 Berlin",
            version=1,
        )
        for n in range(count)
    ]


def invoices(
    of: Sequence[CustomerState], count: int, *, first: int = 0, issued_on: date = ISSUED
) -> list[InvoiceState]:
    """One customer after the other, `first` being the number of the first; due 30 days after `issued_on`."""
    return [
        InvoiceState(
            id=uuid4(),
            customer_id=of[n % len(of)].id,
            number=f"R-{n:08}",
            status="issued",
            currency="EUR",
            total_minor=11_900 + n,
            balance_minor=11_900 + n,
            issue_date=issued_on,
            due_date=issued_on + timedelta(days=30),
            issued_at=datetime.combine(issued_on, time(7), UTC),
            version=1,
        )
        for n in range(first, first + count)
    ]


def changed(found: Sequence[CustomerState]) -> list[Event]:
    return [CustomerChanged(seller_id=SELLER, customer_id=one.id, customer=one) for one in found]


def issued(found: Sequence[InvoiceState]) -> list[Event]:
    return [InvoiceIssued(seller_id=SELLER, customer_id=one.customer_id, invoice=one) for one in found]


async def publish(bus: Bus, events: Sequence[Event]) -> None:
    """As a relay would have."""
    await send(bus, records(events))


def records(events: Sequence[Event]) -> list[Record]:
    at = datetime(2026, 3, 2, 7, tzinfo=UTC)
    return [_record(event, at) for event in events]


async def send(bus: Bus, ready: Sequence[Record]) -> None:
    for begin in range(0, len(ready), CHUNK):
        refusals = await bus.publish(ready[begin : begin + CHUNK])
        assert not any(refusals), refusals


def _record(event: Event, at: datetime) -> Record:
    message = Message(
        id=uuid4(),
        source="/invoice-svc",
        type=event.type,
        time=at,
        subject=str(event.subject()),
        partition_key=str(event.partition_key()),
        sequence=event.sequence(),
        data=event.model_dump_json().encode(),
    )
    return Record.of(event.topic, message)
