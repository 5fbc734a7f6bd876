"""`remit.notifications.v1`: what notifier-svc publishes about deliveries, consent and replies."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from remit_events.envelope import CustomerEvent, Event
from remit_events.schedule import Item
from remit_events.state import Channel, InvoiceState, Snapshot, Stage, Tone

TOPIC = "remit.notifications.v1"


class DeliveryEvent(CustomerEvent):
    """About one delivery: a touch on one channel to one recipient (hashed: SHA-256 hex of the address)."""

    topic: ClassVar[str] = TOPIC
    delivery_id: UUID
    touch_id: UUID
    stage: Stage
    step: str
    channel: Channel
    recipient_sha256: str
    items: tuple[Item, ...]

    def subject(self) -> UUID:
        return self.touch_id

    def invoice_states(self) -> tuple[InvoiceState, ...]:
        return tuple(item.invoice for item in self.items)


class ReminderSent(DeliveryEvent):
    """The provider accepted it. `digest` is the SHA-256 (hex) of the rendered message."""

    type: ClassVar[str] = "com.remit.reminder.sent.v1"
    sent_at: datetime
    tone: Tone | None
    language: str
    provider: str
    provider_id: str
    digest: str


class ReminderDelivered(DeliveryEvent):
    """The provider confirmed receipt."""

    type: ClassVar[str] = "com.remit.reminder.delivered.v1"
    delivered_at: datetime


class ReminderFailed(DeliveryEvent):
    """Certainly not accepted, or bounced. `touch_failed`: every channel of the touch has now failed."""

    type: ClassVar[str] = "com.remit.reminder.failed.v1"
    reason_class: str
    reason: str
    touch_failed: bool


class ReminderUnknown(DeliveryEvent):
    """Whether the provider took it is not known; it is reconciled or put before a person, never resent blindly."""

    type: ClassVar[str] = "com.remit.reminder.unknown.v1"
    reason: str


class DroppedItem(Snapshot):
    """An item refused at the moment of sending, by which rule of the gate."""

    item: Item
    rule: str


class ReminderCancelled(CustomerEvent):
    """Refused at the moment of sending. `whole`: nothing left (all items or the leading one dropped, the kill
    switch, or valid_until passed); then items not in `dropped` are to be decided again."""

    type: ClassVar[str] = "com.remit.reminder.cancelled.v1"
    topic: ClassVar[str] = TOPIC
    touch_id: UUID
    stage: Stage
    step: str
    rule: str
    dropped: tuple[DroppedItem, ...]
    kept: tuple[Item, ...] = ()
    whole: bool

    def subject(self) -> UUID:
        return self.touch_id

    def invoice_states(self) -> tuple[InvoiceState, ...]:
        return tuple(d.item.invoice for d in self.dropped) + tuple(i.invoice for i in self.kept)


class ContactEvent(CustomerEvent):
    """About one address of a customer on one channel (hashed)."""

    topic: ClassVar[str] = TOPIC
    channel: Channel
    recipient_sha256: str
    reason: str

    def subject(self) -> UUID:
        return self.customer_id


class ContactSuppressed(ContactEvent):
    """STOP, unsubscribe, hard bounce or a provider's refusal: the channel is closed for that address."""

    type: ClassVar[str] = "com.remit.contact.suppressed.v1"


class ContactRestored(ContactEvent):
    type: ClassVar[str] = "com.remit.contact.restored.v1"


class ReplyReceived(CustomerEvent):
    """An inbound message that was more than a STOP or START word; notifier-svc keeps its words as `reply_id`."""

    type: ClassVar[str] = "com.remit.reply.received.v1"
    topic: ClassVar[str] = TOPIC
    channel: Channel
    intent: str
    reply_id: UUID | None = None

    def subject(self) -> UUID:
        return self.customer_id


EVENTS: tuple[type[Event], ...] = (
    ReminderSent,
    ReminderDelivered,
    ReminderFailed,
    ReminderUnknown,
    ReminderCancelled,
    ContactSuppressed,
    ContactRestored,
    ReplyReceived,
)
