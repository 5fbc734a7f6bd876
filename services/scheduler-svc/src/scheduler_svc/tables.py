"""scheduler-svc's tables. Moments are bound by the caller from its clock; nothing here reads one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()


def _moment(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


# Without a list of what is still to be put into the index: every look at it would read the whole list.
_AT_ONCE: dict[str, Any] = {"postgresql_using": "gin", "postgresql_with": {"fastupdate": "off"}}

# Who is followed up, and the row whose lock makes a payment and a reminder exclusive. `addresses` and `suppressed`
# hold `channel:sha256`; `next_at` is when to look at the customer next. No snapshot: so far only others spoke of them.
customer = Table(
    "customer",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("seller_id", Uuid, nullable=False),
    Column("external_id", Text),
    Column("snapshot", JSONB),
    Column("version", Integer, nullable=False),
    Column("addresses", ARRAY(Text), nullable=False),
    Column("suppressed", ARRAY(Text), nullable=False),
    _moment("next_at", nullable=True),
    # Escalations that were heard of before the customer: [{id, at, type, data}], in their order.
    Column("waiting", JSONB),
    Index("customer_external_id", "seller_id", "external_id"),
    Index("customer_next_at", "next_at", postgresql_where=text("next_at IS NOT NULL")),
    Index("customer_addresses", "addresses", **_AT_ONCE),
    postgresql_with={"fillfactor": "80"},
)

# One row per invoice. `progress` is where its steps stand: {key: {outcome | touch | rule, until, not_before}}. What a
# reminder changes is in no index, so that the new row stays on its page: no index is written, among any number of rows.
follow_up = Table(
    "follow_up",
    metadata,
    Column("invoice_id", Uuid, primary_key=True),
    Column("seller_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("number", Text, nullable=False),
    Column("snapshot", JSONB, nullable=False),
    Column("version", Integer, nullable=False),
    Column("policy_key", Text, nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("entered_on", Date, nullable=False),
    Column("progress", JSONB, nullable=False),
    Column("shift_days", Integer, nullable=False),
    Column("harder_used", Integer, nullable=False),
    Column("escalated", Text),
    Column("reviewed_on", Date),
    Column("migrated_on", Date),
    Column("closed_on", Date),
    Column("disputed_before", Boolean, nullable=False),
    Column("exhausted", Boolean, nullable=False),
    Column("closed", Boolean, nullable=False),
    _moment("next_at", nullable=True),
    _moment("updated_at"),
    CheckConstraint("escalated IN ('demand', 'stopped')", name="follow_up_escalated_check"),
    Index("follow_up_open", "customer_id", postgresql_where=text("NOT closed")),
    Index("follow_up_number", "seller_id", "number"),
    Index("follow_up_policy", "seller_id", "policy_key", "policy_version", postgresql_where=text("NOT closed")),
    postgresql_with={"fillfactor": "80"},
)

# A formal demand that was triggered; the id is that of the event, so each trigger asks once.
demand = Table(
    "demand",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("seller_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("case_id", Uuid, nullable=False),
    Column("invoice_id", Uuid, nullable=False),
    Column("rung", Text, nullable=False),
    Column("triggered_on", Date, nullable=False),
    Column("deadline", Date),
    Column("reminders_sent", Integer, nullable=False),
    Column("approved_by", Text),
    Column("withdrawn", Boolean, nullable=False),
    Column("progress", JSONB, nullable=False),
    Column("closed", Boolean, nullable=False),
    _moment("next_at", nullable=True),
    Index("demand_open", "customer_id", postgresql_where=text("NOT closed")),
    Index("demand_case", "case_id"),
)

# A message handed to notifier-svc. pending: no answer yet; sent: one channel was accepted; unknown: perhaps;
# failed: all channels certainly failed, the next review decides; cancelled, given_up: over.
STATUSES = ("pending", "sent", "unknown", "failed", "cancelled", "given_up")
touch = Table(
    "touch",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("seller_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("demand_id", Uuid),
    Column("status", Text, nullable=False),
    Column("reached", Boolean, nullable=False),
    Column("step", Text, nullable=False),
    Column("items", JSONB, nullable=False),
    Column("channels", ARRAY(Text), nullable=False),
    Column("local_date", Date, nullable=False),
    _moment("decided_at"),
    CheckConstraint("status IN ({})".format(", ".join(f"'{s}'" for s in STATUSES)), name="touch_status_check"),
    Index("touch_failed", "customer_id", postgresql_where=text("status = 'failed'")),
)

# What gap and cap count: a touch (reserved when decided, gone when nobody was reached) or one made by hand.
contact = Table(
    "contact",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("seller_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("on_date", Date, nullable=False),
    Column("touch_id", Uuid),
    Column("kind", Text, nullable=False),
    Column("channel", Text),
    Column("note", Text),
    Column("addresses", ARRAY(Text), nullable=False),
    _moment("recorded_at"),
    Index("contact_customer", "customer_id", "on_date"),
    Index("contact_touch", "touch_id", unique=True, postgresql_where=text("touch_id IS NOT NULL")),
    Index("contact_addresses", "addresses", **_AT_ONCE),
)

# Why something went, or did not: append-only. A step and a demand have one final row each; the database sees to it.
# Before it may stand others that said no more than that nothing was owed (`reopens`): the payment was taken back.
decision = Table(
    "decision",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("seller_id", Uuid, nullable=False),
    _moment("at"),
    Column("on_date", Date, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("invoice_id", Uuid, nullable=False),
    Column("invoice_number", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("inputs", JSONB, nullable=False),
    _moment("until", nullable=True),
    Column("policy_key", Text, nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("touch_id", Uuid),
    Column("demand_id", Uuid),
    Column("final", Boolean, nullable=False),
    Column("reopens", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("final = (outcome <> 'deferred')", name="decision_final_check"),
    Index(
        "decision_one_final",
        "invoice_id",
        "step",
        unique=True,
        postgresql_where=text("final AND demand_id IS NULL AND NOT reopens"),
    ),
    Index(
        "decision_one_final_demand", "demand_id", unique=True, postgresql_where=text("final AND demand_id IS NOT NULL")
    ),
    Index("decision_invoice", "invoice_id", "at"),
    Index("decision_customer", "customer_id", "at"),
    Index("decision_seller", "seller_id", "at", "id"),
)

# Never changed once written; a change is the next version.
policy_version = Table(
    "policy_version",
    metadata,
    Column("seller_id", Uuid, nullable=False),
    Column("key", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", JSONB, nullable=False),
    _moment("created_at"),
    PrimaryKeyConstraint("seller_id", "key", "version"),
)

# Which policy follows a new invoice: `profile` is one of the three, or `*` for every customer of the seller.
policy_assignment = Table(
    "policy_assignment",
    metadata,
    Column("seller_id", Uuid, nullable=False),
    Column("profile", Text, nullable=False),
    Column("key", Text, nullable=False),
    PrimaryKeyConstraint("seller_id", "profile"),
)

# The kill switch; no row: on.
automation = Table(
    "automation",
    metadata,
    Column("seller_id", Uuid, primary_key=True),
    Column("on", Boolean, nullable=False),
    Column("reason", Text),
    Column("changed_by", Text),
    _moment("changed_at"),
    Column("version", BigInteger, nullable=False),
)

# What customers wrote. Until a person has answered it their follow-up rests; `received_at` is null while only the
# answer has been heard of.
reply = Table(
    "reply",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("seller_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    _moment("received_at", nullable=True),
    Column("answered", Boolean, nullable=False),
    Index("reply_open", "customer_id", postgresql_where=text("NOT answered")),
)

# Addresses closed by their owner or a bounce, as notifier-svc tells: `address` is `channel:sha256`.
suppression = Table(
    "suppression",
    metadata,
    Column("seller_id", Uuid, nullable=False),
    Column("address", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _moment("at"),
    PrimaryKeyConstraint("seller_id", "address"),
)
