"""What an event asks to be sent: a PaymentDue's touch, the invoice itself on issue, a thank-you on full payment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID, uuid5

from notifier_svc.rendering import PaymentInfo
from notifier_svc.tracing import cause
from remit_events.bus import Received
from remit_events.invoices import InvoiceIssued, PaymentReceived
from remit_events.schedule import Demand, Item, PaymentDue
from remit_events.state import Channel, InvoiceState, SellerState, Snapshot, Stage, Tone

TRANSACTIONAL = frozenset({Stage.INVOICE, Stage.THANKS})
INVOICE_VALID = timedelta(days=7)
THANKS_VALID = timedelta(days=3)


class TouchBody(Snapshot):
    """What a touch says, as stored beside its row."""

    template: str
    items: tuple[Item, ...]
    demand: Demand | None = None
    payment: PaymentInfo | None = None
    # Of an invoice or payment: its own date, and when it was recorded here; older than that day, it is not mailed.
    happened_on: date | None = None
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A touch to be stored; it goes on all its channels, with `first_reachable` only on the first that is.

    `stored`: it is in the database and waited for its customer.
    """

    id: UUID
    seller_id: UUID
    customer_id: UUID
    stage: Stage
    step: str
    tone: Tone | None
    body: TouchBody
    channels: tuple[Channel, ...]
    valid_until: datetime
    traceparent: str | None
    first_reachable: bool = False
    stored: bool = False

    @property
    def invoice_ids(self) -> list[UUID]:
        return [item.invoice.id for item in self.body.items]


def invoice_touch_id(invoice_id: UUID) -> UUID:
    """The invoice is mailed once, whatever happens to the event that says so."""
    return uuid5(invoice_id, "invoice")


def thanks_touch_id(payment_id: UUID) -> UUID:
    return uuid5(payment_id, "thanks")


def planned(received: Received, sellers: Mapping[UUID, SellerState], now: datetime) -> Planned | None:
    """The touch an event asks for, if it asks for one. A seller not known yet is asked again when it leaves."""
    event = received.event
    if isinstance(event, PaymentDue):
        return _follow_up(event, cause(received))
    seller = sellers.get(event.seller_id)
    if isinstance(event, InvoiceIssued) and (seller is None or seller.send_invoices):
        return _invoice(event, now, cause(received))
    if isinstance(event, PaymentReceived) and (seller is None or seller.thank_you):
        return _thanks(event, received.message.time, now, cause(received))
    return None


def _follow_up(event: PaymentDue, traceparent: str | None) -> Planned:
    return Planned(
        id=event.touch_id,
        seller_id=event.seller_id,
        customer_id=event.customer_id,
        stage=event.stage,
        step=event.step,
        tone=event.tone,
        body=TouchBody(template=event.template, items=event.items, demand=event.demand),
        channels=event.channels,
        valid_until=event.valid_until,
        traceparent=traceparent,
    )


def _invoice(event: InvoiceIssued, now: datetime, traceparent: str | None) -> Planned | None:
    invoice = event.invoice
    if not invoice.is_open:
        return None
    body = TouchBody(
        template="invoice",
        items=(_item(invoice, "invoice", invoice.balance_minor, invoice.issue_date),),
        happened_on=invoice.issue_date,
        recorded_at=invoice.issued_at,
    )
    return Planned(
        id=invoice_touch_id(invoice.id),
        seller_id=event.seller_id,
        customer_id=event.customer_id,
        stage=Stage.INVOICE,
        step="invoice",
        tone=None,
        body=body,
        channels=(Channel.EMAIL, Channel.LETTER),
        valid_until=now + INVOICE_VALID,
        traceparent=traceparent,
        first_reachable=True,
    )


def _thanks(event: PaymentReceived, at: datetime, now: datetime, traceparent: str | None) -> Planned | None:
    put = [allocation for allocation in event.allocations if allocation.amount_minor > 0]
    paid = [one for one in put if one.invoice.status == "paid"]
    items = tuple(_item(one.invoice, "thanks", one.amount_minor, event.received_on) for one in paid)
    if not items:
        return None
    elsewhere = [one for one in put if one.invoice.status != "paid"]
    payment = PaymentInfo(
        event.reference,
        event.received_on,
        event.amount_minor,
        event.currency,
        elsewhere_minor=sum(one.amount_minor for one in elsewhere),
        elsewhere=tuple(one.invoice.number for one in elsewhere),
        credit_minor=event.credit_minor,
    )
    return Planned(
        id=thanks_touch_id(event.payment_id),
        seller_id=event.seller_id,
        customer_id=event.customer_id,
        stage=Stage.THANKS,
        step="thanks",
        tone=None,
        body=TouchBody(template="thanks", items=items, payment=payment, happened_on=event.received_on, recorded_at=at),
        channels=(Channel.EMAIL,),
        valid_until=now + THANKS_VALID,
        traceparent=traceparent,
    )


def _item(invoice: InvoiceState, step: str, amount_minor: int, on: date) -> Item:
    """An item of a message that is no follow-up, but about what happened to the invoice on a day."""
    overdue = (on - invoice.due_date).days if invoice.due_date else 0
    return Item(invoice=invoice, step=step, amount_minor=amount_minor, days_overdue=overdue)
