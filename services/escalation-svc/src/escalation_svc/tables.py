"""escalation-svc's tables: customers, one case per invoice, what was sent, taken, approved and asked of people."""

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
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = MetaData()


def _id(name: str, **options: object) -> Column[object]:
    return Column(name, UUID(as_uuid=True), **options)  # type: ignore[arg-type]


def _moment(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


# The newest snapshot of each customer, and the window of the last PaymentDue they had. Its row is the lock under
# which everything about the customer's cases is decided; `snapshot` is null until CustomerChanged came.
customer = Table(
    "customer",
    metadata,
    _id("id", primary_key=True),
    _id("seller_id", nullable=False),
    Column("snapshot", JSONB),
    Column("version", Integer, nullable=False),
    Column("send_window", JSONB),
    Index("customer_seller", "seller_id"),
)

# One per invoice: a watch until its first rung, which pins the ladder's version, then a case.
# `next_eval_at` is when its next rung could first be taken; null: only an event can change that. `replan` asks for
# that moment to be worked out again instead of a rung being taken.
case = Table(
    "escalation_case",
    metadata,
    _id("id", primary_key=True),
    _id("seller_id", nullable=False),
    Column("customer_id", UUID(as_uuid=True), ForeignKey("customer.id"), nullable=False),
    _id("invoice_id", nullable=False, unique=True),
    Column("number", Text, nullable=False),
    Column("invoice", JSONB, nullable=False),
    Column("invoice_version", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("outcome", Text),
    Column("escalated", Boolean, nullable=False),
    Column("ladder_key", Text),
    Column("ladder_version", Integer),
    _moment("next_eval_at", nullable=True),
    Column("replan", Boolean, nullable=False),
    _moment("opened_at"),
    _moment("updated_at"),
    _one_of("status", "open", "frozen", "closed"),
    CheckConstraint("(ladder_key IS NULL) = (ladder_version IS NULL)", name="ladder_pinned_whole"),
    Index("escalation_case_due", "next_eval_at", postgresql_where=text("next_eval_at IS NOT NULL")),
    Index("escalation_case_customer", "customer_id"),
    Index("escalation_case_listed", "seller_id", "id"),
)

# Every delivery of a follow-up message that named the invoice; a touch that is only planned stands under its own id.
contact = Table(
    "contact",
    metadata,
    Column("case_id", UUID(as_uuid=True), ForeignKey("escalation_case.id"), primary_key=True),
    _id("delivery_id", primary_key=True),
    _id("touch_id", nullable=False),
    _moment("at"),
    Column("stage", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("channel", Text),
    Column("status", Text, nullable=False),
    Column("digest", Text),
    Column("provider", Text),
    Column("provider_id", Text),
    _one_of("status", "planned", "sent", "unknown", "failed", "cancelled"),
)

ladder_version = Table(
    "ladder_version",
    metadata,
    _id("seller_id", primary_key=True),
    Column("key", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("body", JSONB, nullable=False),
    _moment("created_at"),
)

# Which ladder customers follow: per profile, or `*` for all who have none of their own.
ladder_assignment = Table(
    "ladder_assignment",
    metadata,
    _id("seller_id", primary_key=True),
    Column("profile", Text, primary_key=True),
    Column("key", Text, nullable=False),
)

# A rung waiting for, or given, a person's approval. One pending per case.
approval = Table(
    "approval",
    metadata,
    _id("id", primary_key=True),
    _id("seller_id", nullable=False),
    _id("customer_id", nullable=False),
    Column("case_id", UUID(as_uuid=True), ForeignKey("escalation_case.id"), nullable=False),
    Column("rung", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("evidence", JSONB, nullable=False),
    Column("evidence_sha256", Text, nullable=False),
    _moment("requested_at"),
    _moment("decided_at", nullable=True),
    Column("decided_by", Text),
    Column("reason", Text),
    _one_of("status", "pending", "approved", "rejected", "expired", "reopened"),
    Index("approval_one_pending", "case_id", unique=True, postgresql_where=text("status = 'pending'")),
    Index("approval_case", "case_id"),
    Index("approval_listed", "seller_id", "id"),
)

# A rung that was triggered, with the evidence it rested on. `attempt` grows when a person re-opens the case so that
# the rung may be taken again; an attempt is taken at most once whatever races.
rung = Table(
    "rung",
    metadata,
    Column("case_id", UUID(as_uuid=True), ForeignKey("escalation_case.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("action", Text, nullable=False),
    _moment("triggered_at"),
    Column("triggered_on", Date, nullable=False),
    Column("approved_by", Text),
    Column("reminders_sent", Integer, nullable=False),
    Column("days_overdue", Integer, nullable=False),
    Column("balance_minor", BigInteger, nullable=False),
    Column("ladder_key", Text, nullable=False),
    Column("ladder_version", Integer, nullable=False),
    Column("demand_deadline", Date),
    Column("evidence", JSONB, nullable=False),
    Column("evidence_sha256", Text, nullable=False),
    Column("refused_rule", Text),
    Column("withdrawn_at", DateTime(timezone=True)),
)

task = Table(
    "task",
    metadata,
    _id("id", primary_key=True),
    _id("seller_id", nullable=False),
    _id("customer_id", nullable=False),
    Column("case_id", UUID(as_uuid=True), ForeignKey("escalation_case.id")),
    Column("kind", Text, nullable=False),
    Column("rung", Text),
    Column("reply_id", UUID(as_uuid=True)),
    Column("note", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("due_on", Date, nullable=False),
    _moment("created_at"),
    _moment("done_at", nullable=True),
    Column("done_by", Text),
    Column("result", Text),
    _one_of("status", "open", "done"),
    Index("task_case", "case_id"),
    Index("task_listed", "seller_id", "id"),
)
