"""notifier-svc's tables. Every instant is bound from the service's clock; addresses are looked up by SHA-256."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
)
from sqlalchemy import Text as String
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = MetaData()


def _id(name: str = "id", *, primary_key: bool = True, nullable: bool = False) -> Column[object]:
    return Column(name, UUID(as_uuid=True), primary_key=primary_key, nullable=nullable)


def _at(name: str, *, nullable: bool = True) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


# The contact book: the newest snapshot of each customer. Its rows are what transactions that emit lock first.
customer = Table(
    "customer",
    metadata,
    _id(),
    _id("seller_id", primary_key=False),
    Column("version", Integer, nullable=False),
    Column("snapshot", JSONB, nullable=False),
    Column("email_sha256", String),
    Column("phone_sha256", String),
    Column("letter_sha256", String),
    Index("customer_email_sha256", "email_sha256"),
    Index("customer_phone_sha256", "phone_sha256"),
    Index("customer_letter_sha256", "letter_sha256"),
)

# One message to one customer on one or more channels. `body` holds items, template, demand, payment; `next_at` is
# when a channel of it is to be tried next (None: nothing pending); `claim` is the token of who is working on it.
# `waiting`: its customer is not known here yet. `notes`: channels it could not use, and why.
touch = Table(
    "touch",
    metadata,
    _id(),
    _id("seller_id", primary_key=False),
    _id("customer_id", primary_key=False),
    Column("stage", String, nullable=False),
    Column("step", String, nullable=False),
    Column("tone", String),
    Column("body", JSONB, nullable=False),
    Column("channels", ARRAY(String), nullable=False),
    Column("notes", JSONB, nullable=False),
    Column("invoice_ids", ARRAY(UUID(as_uuid=True)), nullable=False),
    Column("waiting", Boolean, nullable=False),
    Column("held_by", String),
    Column("attempts", Integer, nullable=False),
    _id("claim", primary_key=False, nullable=True),
    Column("worker", BigInteger),
    Column("traceparent", String),
    _at("created_at", nullable=False),
    _at("valid_until", nullable=False),
    _at("next_at"),
    _at("sent_at"),
    Index("touch_next_at", "next_at", postgresql_where="next_at IS NOT NULL"),
    Index("touch_claimed", "worker", postgresql_where="claim IS NOT NULL"),
    Index("touch_waiting", "customer_id", postgresql_where="waiting"),
    Index("touch_invoice_ids", "invoice_ids", postgresql_using="gin"),
)

STATUSES = ("pending", "sending", "sent", "failed", "unknown", "cancelled")

# A touch on one channel to one address: sent at most once. `digest` points to what was said; `worker` is the
# process that has it in `sending`; `checked_at` is the instant invoice-svc's last balance answer stood for.
delivery = Table(
    "delivery",
    metadata,
    _id(),
    Column("touch_id", UUID(as_uuid=True), ForeignKey("touch.id", ondelete="CASCADE"), nullable=False),
    _id("seller_id", primary_key=False),
    _id("customer_id", primary_key=False),
    Column("channel", String, nullable=False),
    Column("recipient", String, nullable=False),
    Column("recipient_sha256", String, nullable=False),
    Column("status", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("message_id", String, nullable=False),
    Column("provider", String),
    Column("provider_id", String),
    Column("provider_status", String),
    Column("digest", String),
    Column("error_class", String),
    Column("error", String),
    Column("note", String),
    Column("worker", BigInteger),
    _at("created_at", nullable=False),
    _at("next_attempt_at"),
    _at("checked_at"),
    _at("sending_at"),
    _at("sent_at"),
    _at("delivered_at"),
    _at("updated_at", nullable=False),
    CheckConstraint(f"status IN {STATUSES!r}", name="delivery_status_known"),
    UniqueConstraint("touch_id", "channel", "recipient_sha256", name="delivery_once"),
    Index("delivery_seller_created", "seller_id", "id"),
    Index("delivery_customer", "customer_id", "id"),
    Index("delivery_pending", "touch_id", postgresql_where="status = 'pending'"),
    Index("delivery_sending", "sending_at", postgresql_where="status = 'sending'"),
    Index("delivery_unknown", "seller_id", "id", postgresql_where="status = 'unknown'"),
    Index("delivery_on_its_way", "sent_at", postgresql_where="status = 'sent' AND delivered_at IS NULL"),
    Index("delivery_provider_id", "provider_id", postgresql_where="provider_id IS NOT NULL"),
)

# What was said: one rendering per decision of a touch, shown at /deliveries/{id}/content. `items` as sent.
content = Table(
    "content",
    metadata,
    _id("touch_id"),
    Column("digest", String, primary_key=True),
    Column("language", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("text", String, nullable=False),
    Column("html", String, nullable=False),
    Column("sms", String),
    Column("letter", LargeBinary),
    Column("items", JSONB, nullable=False),
    _at("created_at", nullable=False),
)

# Touches sent after an invoice's due date: what the three-reminder rule counts.
reminder = Table(
    "reminder",
    metadata,
    _id("invoice_id"),
    _id("touch_id"),
    Column("sent_on", Date, nullable=False),
)

# A closed address. `kind` full: nothing goes there; `courtesy`: required notices go by letter instead.
suppression = Table(
    "suppression",
    metadata,
    _id(),
    _id("seller_id", primary_key=False),
    Column("channel", String, nullable=False),
    Column("address_sha256", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("note", String),
    _at("created_at", nullable=False),
    CheckConstraint("kind IN ('full', 'courtesy')", name="suppression_kind_known"),
    UniqueConstraint("seller_id", "channel", "address_sha256", name="suppression_once"),
)

# Provider callbacks taken: a replay finds its row and does nothing.
callback = Table(
    "callback",
    metadata,
    Column("message_sid", String, primary_key=True),
    Column("message_status", String, primary_key=True),
    _at("received_at", nullable=False),
)

# What debtors answered, word for word; from an address no customer has it stands without a customer.
reply = Table(
    "reply",
    metadata,
    _id(),
    _id("seller_id", primary_key=False),
    _id("customer_id", primary_key=False, nullable=True),
    Column("channel", String, nullable=False),
    Column("sender", String, nullable=False),
    Column("text", String, nullable=False),
    Column("intent", String, nullable=False),
    Column("provider_id", String, nullable=False),
    _at("received_at", nullable=False),
    Index("reply_seller", "seller_id", "id"),
    Index("reply_customer", "customer_id", "id"),
)

# Unsubscribe links: only the SHA-256 of a token is kept.
unsubscribe = Table(
    "unsubscribe",
    metadata,
    Column("token_sha256", String, primary_key=True),
    _id("seller_id", primary_key=False),
    _id("customer_id", primary_key=False),
    Column("address_sha256", String, nullable=False),
    _at("created_at", nullable=False),
    _at("used_at"),
)

# Live mode is switched on by hand, per seller.
live_switch = Table(
    "live_switch",
    metadata,
    _id("seller_id"),
    Column("is_on", Boolean, nullable=False),
    Column("by", String, nullable=False),
    _at("changed_at", nullable=False),
)

# How far the Twilio poller has read, where there is no public URL for callbacks.
poll_cursor = Table("poll_cursor", metadata, Column("name", String, primary_key=True), _at("read_to", nullable=False))
