"""`remit.invoices.v1`: what invoice-svc publishes about sellers, customers, invoices and money."""

from __future__ import annotations

from datetime import date
from typing import ClassVar
from uuid import UUID

from remit_events.envelope import CustomerEvent, Event
from remit_events.state import CustomerState, InvoiceState, Promise, SellerState, Snapshot

TOPIC = "remit.invoices.v1"


class SellerChanged(Event):
    """The whole seller: name, sender, reply address, bank account, payment link, language, key hashes."""

    type: ClassVar[str] = "com.remit.seller.changed.v1"
    topic: ClassVar[str] = TOPIC
    seller: SellerState

    def partition_key(self) -> UUID:
        return self.seller_id

    def subject(self) -> UUID:
        return self.seller.id

    def sequence(self) -> int:
        return self.seller.version


class CustomerChanged(CustomerEvent):
    """Contact, profile, locale, zone, consent, hold or assignment changed: the whole customer."""

    type: ClassVar[str] = "com.remit.customer.changed.v1"
    topic: ClassVar[str] = TOPIC
    customer: CustomerState

    def subject(self) -> UUID:
        return self.customer.id

    def sequence(self) -> int:
        return self.customer.version

    def customer_state(self) -> CustomerState:
        return self.customer


class InvoiceEvent(CustomerEvent):
    """An event about one invoice; carries its whole state after the change."""

    topic: ClassVar[str] = TOPIC
    invoice: InvoiceState

    def subject(self) -> UUID:
        return self.invoice.id

    def sequence(self) -> int:
        return self.invoice.version

    def invoice_states(self) -> tuple[InvoiceState, ...]:
        return (self.invoice,)


class InvoiceIssued(InvoiceEvent):
    """An invoice became final. Scheduler plans, escalation opens a watch, notifier sends the invoice itself."""

    type: ClassVar[str] = "com.remit.invoice.issued.v1"


class InvoiceVoided(InvoiceEvent):
    """The invoice was cancelled; nothing is owed on it any more."""

    type: ClassVar[str] = "com.remit.invoice.voided.v1"
    reason: str


class InvoicePaid(InvoiceEvent):
    """The balance reached zero. `days_late` is negative when paid before the due date, None without one."""

    type: ClassVar[str] = "com.remit.invoice.paid.v1"
    payment_id: UUID
    paid_on: date
    days_late: int | None


class Allocation(Snapshot):
    """`amount_minor` of a payment put to an invoice, whose state after it stands beside."""

    amount_minor: int
    invoice: InvoiceState


class PaymentEvent(CustomerEvent):
    """Money and where it went; a reversal carries negative amounts. `credit_minor` was left on account."""

    topic: ClassVar[str] = TOPIC
    payment_id: UUID
    reference: str
    currency: str
    amount_minor: int
    credit_minor: int = 0
    received_on: date
    allocations: tuple[Allocation, ...]

    def subject(self) -> UUID:
        return self.payment_id

    def invoice_states(self) -> tuple[InvoiceState, ...]:
        return tuple(a.invoice for a in self.allocations)


class PaymentReceived(PaymentEvent):
    """Money recorded and allocated."""

    type: ClassVar[str] = "com.remit.payment.received.v1"


class CreditAllocated(PaymentEvent):
    """Credit on account of an earlier payment was put to invoices: `amount_minor` is 0, as no money came in, and
    `credit_minor` is negative, what left the account."""

    type: ClassVar[str] = "com.remit.credit.allocated.v1"


class PaymentReversed(PaymentEvent):
    """A charge-back or bounced debit took a payment back: its amounts as they stood, negative."""

    type: ClassVar[str] = "com.remit.payment.reversed.v1"
    reason: str


class DisputeEvent(InvoiceEvent):
    dispute_id: UUID
    amount_minor: int


class DisputeOpened(DisputeEvent):
    """The debtor disputes `amount_minor` of the invoice; only the undisputed rest is chased."""

    type: ClassVar[str] = "com.remit.dispute.opened.v1"
    reason: str
    deadline: date | None = None


class DisputeResolved(DisputeEvent):
    """The dispute ended; what it held is owed again unless it was corrected."""

    type: ClassVar[str] = "com.remit.dispute.resolved.v1"
    outcome: str


class PromiseEvent(InvoiceEvent):
    promise: Promise


class PromiseMade(PromiseEvent):
    """The debtor promised a date and an amount; automation waits until then plus grace."""

    type: ClassVar[str] = "com.remit.promise.made.v1"


class PromiseKept(PromiseEvent):
    """What was promised came in before its grace ended."""

    type: ClassVar[str] = "com.remit.promise.kept.v1"


class PromiseReopened(PromiseEvent):
    """What had kept the promise was taken back while its grace lasts: it runs again, and automation waits again."""

    type: ClassVar[str] = "com.remit.promise.reopened.v1"


class PromiseBroken(PromiseEvent):
    """Not paid by the end of grace, or taken back after it; `paid_minor` came in of it. Follow-up resumes one step
    harder."""

    type: ClassVar[str] = "com.remit.promise.broken.v1"
    paid_minor: int = 0


class FollowUpEvent(CustomerEvent):
    """A hold on one invoice (`invoice` given) or on a whole customer (`customer` given)."""

    topic: ClassVar[str] = TOPIC
    invoice: InvoiceState | None = None
    customer: CustomerState | None = None

    def subject(self) -> UUID:
        return self.invoice.id if self.invoice else self.customer_id

    def sequence(self) -> int:
        if self.invoice:
            return self.invoice.version
        return self.customer.version if self.customer else 0

    def invoice_states(self) -> tuple[InvoiceState, ...]:
        return (self.invoice,) if self.invoice else ()

    def customer_state(self) -> CustomerState | None:
        return self.customer


class FollowUpHeld(FollowUpEvent):
    type: ClassVar[str] = "com.remit.follow-up.held.v1"
    reason: str
    until: date | None = None


class FollowUpReleased(FollowUpEvent):
    type: ClassVar[str] = "com.remit.follow-up.released.v1"
    reason: str


EVENTS: tuple[type[Event], ...] = (
    SellerChanged,
    CustomerChanged,
    InvoiceIssued,
    InvoiceVoided,
    InvoicePaid,
    PaymentReceived,
    CreditAllocated,
    PaymentReversed,
    DisputeOpened,
    DisputeResolved,
    PromiseMade,
    PromiseKept,
    PromiseReopened,
    PromiseBroken,
    FollowUpHeld,
    FollowUpReleased,
)
