"""invoice-svc's tables. Money is bigint minor units; moments are UTC; dates are in the customer's zone."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = MetaData()


def _id(name: str = "id") -> Column[object]:
    return Column(name, UUID(as_uuid=True), primary_key=True)


def _ref(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, UUID(as_uuid=True), nullable=nullable)


def _customer_ref() -> Column[object]:
    return Column("customer_id", UUID(as_uuid=True), ForeignKey("customer.id"), nullable=False)


def _moment(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


customer = Table(
    "customer",
    metadata,
    _id(),
    _ref("seller_id"),
    Column("external_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("timezone", Text),
    Column("language", Text),
    Column("email", Text),
    Column("phone", Text),
    Column("address", Text),
    Column("sms_consent", Boolean, nullable=False),
    Column("policy_key", Text),
    Column("ladder_key", Text),
    Column("hold_reason", Text),
    Column("hold_until", Date),
    Column("version", Integer, nullable=False),
    _moment("created_at"),
    _moment("updated_at"),
    UniqueConstraint("seller_id", "external_id", name="customer_external_id"),
    Index("customer_seller", "seller_id", "id"),
    Index("customer_updated", "seller_id", "updated_at"),
    Index("customer_email", "seller_id", text("lower(email)"), "external_id"),
    Index("customer_phone", "seller_id", "phone", "external_id"),
)

# The running promise and the hold stand in the row itself, so that "still owed?" is one indexed read.
# `disputed_minor` is the sum of open partial disputes, `disputed_whole` an open dispute of all of it;
# `promise_paid_minor` is what came in since the running promise was made.
invoice = Table(
    "invoice",
    metadata,
    _id(),
    _ref("seller_id"),
    _customer_ref(),
    Column("number", Text),
    Column("external_id", Text),
    Column("status", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("balance_minor", BigInteger, nullable=False),
    Column("disputed_minor", BigInteger, nullable=False),
    Column("disputed_whole", Boolean, nullable=False),
    Column("issue_date", Date),
    Column("due_date", Date),
    _moment("issued_at", nullable=True),
    Column("policy_key", Text),
    Column("hold_reason", Text),
    Column("hold_until", Date),
    _ref("promise_id", nullable=True),
    Column("promise_on", Date),
    Column("promise_minor", BigInteger),
    Column("promise_grace_until", Date),
    Column("promise_paid_minor", BigInteger, nullable=False),
    Column("promises_broken", Integer, nullable=False),
    Column("imported", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    _moment("created_at"),
    _moment("updated_at"),
    UniqueConstraint("seller_id", "number", name="invoice_number"),
    UniqueConstraint("seller_id", "external_id", name="invoice_external_id"),
    CheckConstraint("balance_minor BETWEEN 0 AND total_minor AND total_minor > 0", name="invoice_amounts"),
    CheckConstraint("status = 'draft' OR (number IS NOT NULL AND issued_at IS NOT NULL)", name="invoice_issued"),
    Index("invoice_seller", "seller_id", "id"),
    Index("invoice_customer", "customer_id", "id"),
    Index(
        "invoice_open",
        "customer_id",
        "due_date",
        postgresql_where=text("status IN ('issued', 'partly_paid')"),
    ),
    Index(
        "invoice_open_due",
        "seller_id",
        "due_date",
        postgresql_where=text("status IN ('issued', 'partly_paid')"),
    ),
    Index("invoice_updated", "seller_id", "updated_at"),
)

number_series = Table(
    "number_series",
    metadata,
    _ref("seller_id"),
    Column("series", Text, nullable=False),
    Column("last_number", BigInteger, nullable=False),
    PrimaryKeyConstraint("seller_id", "series"),
)

payment = Table(
    "payment",
    metadata,
    _id(),
    _ref("seller_id"),
    _customer_ref(),
    Column("provider", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("external_id", Text),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("credit_minor", BigInteger, nullable=False),
    Column("received_on", Date, nullable=False),
    Column("status", Text, nullable=False),
    Column("reversed_on", Date),
    Column("reversal_reason", Text),
    _moment("created_at"),
    _moment("updated_at"),
    UniqueConstraint("seller_id", "provider", "reference", name="payment_reference"),
    UniqueConstraint("seller_id", "external_id", name="payment_external_id"),
    CheckConstraint("amount_minor > 0 AND credit_minor BETWEEN 0 AND amount_minor", name="payment_amounts"),
    Index("payment_seller", "seller_id", "id"),
    Index("payment_customer", "customer_id", "id"),
)

# `balance_after_minor` is the invoice's balance right after, so that the first answer can be given again for ever.
# `allocated_at` stands where credit was put to the invoice later than the payment was recorded.
allocation = Table(
    "allocation",
    metadata,
    Column("payment_id", UUID(as_uuid=True), ForeignKey("payment.id"), nullable=False),
    Column("invoice_id", UUID(as_uuid=True), ForeignKey("invoice.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("balance_after_minor", BigInteger, nullable=False),
    _moment("allocated_at", nullable=True),
    PrimaryKeyConstraint("payment_id", "position"),
    CheckConstraint("amount_minor > 0", name="allocation_amount"),
    Index("allocation_invoice", "invoice_id"),
)

dispute = Table(
    "dispute",
    metadata,
    _id(),
    _ref("seller_id"),
    _customer_ref(),
    Column("invoice_id", UUID(as_uuid=True), ForeignKey("invoice.id"), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("whole", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("deadline", Date),
    Column("status", Text, nullable=False),
    Column("outcome", Text),
    _moment("opened_at"),
    _moment("resolved_at", nullable=True),
    Index("dispute_invoice", "invoice_id"),
    Index("dispute_seller", "seller_id", "id"),
)

promise = Table(
    "promise",
    metadata,
    _id(),
    _ref("seller_id"),
    _customer_ref(),
    Column("invoice_id", UUID(as_uuid=True), ForeignKey("invoice.id"), nullable=False),
    Column("promised_on", Date, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("grace_until", Date, nullable=False),
    _moment("expires_at"),
    Column("status", Text, nullable=False),
    Column("paid_minor", BigInteger, nullable=False),
    _moment("made_at"),
    _moment("closed_at", nullable=True),
    Index("promise_invoice", "invoice_id"),
    Index("promise_running", "expires_at", postgresql_where=text("status = 'running'")),
)

# Holds as they were set and lifted; `release_at` is when one with a last day ends by itself.
hold = Table(
    "hold",
    metadata,
    _id(),
    _ref("seller_id"),
    _customer_ref(),
    Column("invoice_id", UUID(as_uuid=True), ForeignKey("invoice.id")),
    Column("reason", Text, nullable=False),
    Column("until", Date),
    _moment("release_at", nullable=True),
    _moment("held_at"),
    _moment("released_at", nullable=True),
    Column("release_reason", Text),
    Index("hold_customer", "customer_id"),
    Index("hold_invoice", "invoice_id"),
    Index("hold_running", "release_at", postgresql_where=text("released_at IS NULL AND release_at IS NOT NULL")),
)

import_run = Table(
    "import_run",
    metadata,
    _id(),
    _ref("seller_id"),
    Column("file_name", Text, nullable=False),
    Column("rows_total", Integer, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("summary", JSONB),
    _moment("created_at"),
    _moment("finished_at", nullable=True),
    Index("import_run_seller", "seller_id", "id"),
)

# Without foreign keys, here and below: a look at the run, locked anyway, would cost as much as the row itself.
import_row = Table(
    "import_row",
    metadata,
    _ref("import_id"),
    Column("line", Integer, nullable=False),
    Column("invoice_number", Text),
    Column("status", Text, nullable=False),
    Column("result", JSONB, nullable=False),
    PrimaryKeyConstraint("import_id", "line"),
    Index("import_row_number", "import_id", "invoice_number"),
    Index("import_row_rejected", "import_id", "line", postgresql_where=text("status = 'rejected'")),
)

# What the last import said of an invoice (stated.py).
import_stated = Table(
    "import_stated",
    metadata,
    _id("invoice_id"),
    Column("disputed", Boolean, nullable=False),
    Column("paid_date", Date),
    Column("open_minor", BigInteger),
    _ref("dispute_id", nullable=True),
)

# Every event of all four services; `position` is the feed's cursor (timeline.py says why it never skips).
timeline_entry = Table(
    "timeline_entry",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("event_id", UUID(as_uuid=True), nullable=False, unique=True),
    _ref("seller_id"),
    Column("type", Text, nullable=False),
    Column("source", Text, nullable=False),
    _moment("time"),
    Column("subject", Text, nullable=False),
    Column("partition_key", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("data", JSONB, nullable=False),
    Index("timeline_entry_feed", "seller_id", "position"),
)

timeline_invoice = Table(
    "timeline_invoice",
    metadata,
    _ref("invoice_id"),
    _ref("event_id"),
    PrimaryKeyConstraint("invoice_id", "event_id"),
)
