"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("headers", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("history", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(
            "status IN ('dead', 'parked', 'retry', 'replayed', 'discarded')", name="dead_letter_status_check"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("consumer", "topic", "partition", "offset", name="dead_letter_position_key"),
    )
    op.create_index(
        "dead_letter_unresolved",
        "dead_letter",
        ["consumer", "key", "id"],
        unique=False,
        postgresql_where=sa.text("status IN ('dead', 'parked', 'retry')"),
    )
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "event_id"),
    )
    op.create_index("inbox_recorded_at", "inbox", ["recorded_at"], unique=False, postgresql_using="brin")
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("aggregate_id", sa.Uuid(), nullable=False),
        sa.Column("aggregate_version", sa.Integer(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column(
            "shard", sa.SmallInteger(), sa.Computed("((hashtext(key) & 7))::smallint", persisted=True), nullable=True
        ),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("event_id", name="outbox_event_id_key"),
    )
    op.create_index(
        "outbox_refused",
        "outbox",
        ["key"],
        unique=False,
        postgresql_where=sa.text("published_at IS NULL AND refused_at IS NOT NULL"),
    )
    op.create_index(
        "outbox_unpublished",
        "outbox",
        ["shard", "id"],
        unique=False,
        postgresql_where=sa.text("published_at IS NULL AND refused_at IS NULL"),
    )
    op.create_table(
        "idempotency",
        sa.Column("seller_id", sa.UUID(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seller_id", "route", "key"),
    )
    op.create_index("idempotency_created_at", "idempotency", ["created_at"], unique=False)
    op.create_table(
        "seller",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("snapshot", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("seller_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["seller_id"], ["seller.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sha256"),
    )
    op.create_index(op.f("ix_api_key_seller_id"), "api_key", ["seller_id"], unique=False)
    op.create_table(
        "customer",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("seller_id", sa.UUID(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("sms_consent", sa.Boolean(), nullable=False),
        sa.Column("policy_key", sa.Text(), nullable=True),
        sa.Column("ladder_key", sa.Text(), nullable=True),
        sa.Column("hold_reason", sa.Text(), nullable=True),
        sa.Column("hold_until", sa.Date(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("seller_id", "external_id", name="customer_external_id"),
    )
    op.create_index(
        "customer_email", "customer", ["seller_id", sa.literal_column("lower(email)"), "external_id"], unique=False
    )
    op.create_index("customer_phone", "customer", ["seller_id", "phone", "external_id"], unique=False)
    op.create_index("customer_seller", "customer", ["seller_id", "id"], unique=False)
    op.create_index("customer_updated", "customer", ["seller_id", "updated_at"], unique=False)
    op.create_table(
        "import_run",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("seller_id", sa.UUID(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("rows_total", sa.Integer(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("summary", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("import_run_seller", "import_run", ["seller_id", "id"], unique=False)
    op.create_table(
        "number_series",
        sa.Column("seller_id", sa.UUID(), nullable=False),
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seller_id", "series"),
    )
    op.create_table(
        "timeline_entry",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("seller_id", sa.UUID(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("partition_key", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("event_id"),
    )
    op.create_index("timeline_entry_feed", "timeline_entry", ["seller_id", "position"], unique=False)
    op.create_table(
        "timeline_invoice",
        sa.Column("invoice_id", sa.UUID(), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.PrimaryKeyConstraint("invoice_id", "event_id"),
    )
    op.create_table(
        "import_row",
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("invoice_number", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["import_id"], ["import_run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("import_id", "line"),
    )
    op.create_index("import_row_number", "import_row", ["import_id", "invoice_number"], unique=False)
    op.create_index("import_row_status", "import_row", ["import_id", "status", "line"], unique=False)
    op.create_table(
        "invoice",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("seller_id", sa.UUID(), nullable=False),
        sa.Column("customer_id", sa.UUID(), nullable=False),
        sa.Column("number", sa.Text(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("balance_minor", sa.BigInteger(), nullable=False),
        sa.Column("disputed_minor", sa.BigInteger(), nullable=False),
        sa.Column("disputed_whole", sa.Boolean(), nullable=False),
        sa.Column("issue_date", sa.Date(), nullable=True),
        sa.Column("due_date", sa.Date(), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("policy_key", sa.Text(), nullable=True),
        sa.Column("hold_reason", sa.Text(), nullable=True),
        sa.Column("hold_until", sa.Date(), nullable=True),
        sa.Column("promise_id", sa.UUID(), nullable=True),
        sa.Column("promise_on", sa.Date(), nullable=True),
        sa.Column("promise_minor", sa.BigInteger(), nullable=True),
        sa.Column("promise_grace_until", sa.Date(), nullable=True),
        sa.Column("promise_paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("promises_broken", sa.Integer(), nullable=False),
        sa.Column("imported", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("status = 'draft' OR (number IS NOT NULL AND issued_at IS NOT NULL)", name="invoice_issued"),
        sa.CheckConstraint("balance_minor BETWEEN 0 AND total_minor AND total_minor > 0", name="invoice_amounts"),
        sa.ForeignKeyConstraint(
            ["customer_id"],
            ["customer.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("seller_id", "external_id", name="invoice_external_id"),
        sa.UniqueConstraint("seller_id", "number", name="invoice_number"),
    )
    op.create_index("invoice_customer", "invoice", ["customer_id", "id"], unique=False)
    op.create_index(
        "invoice_open",
        "invoice",
        ["customer_id", "due_date"],
        unique=False,
        postgresql_where=sa.text("status IN ('issued', 'partly_paid')"),
    )
    op.create_index(
        "invoice_open_due",
        "invoice",
        ["seller_id", "due_date"],
        unique=False,
        postgresql_where=sa.text("status IN ('issued', 'partly_paid')"),
    )
    op.create_index("invoice_seller", "invoice", ["seller_id", "id"], unique=False)
    op.create_index("invoice_updated", "invoice", ["seller_id", "updated_at"], unique=False)
    op.create_table(
        "payment",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("seller_id", sa.UUID(), nullable=False),
        sa.Column("customer_id", sa.UUID(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("credit_minor", sa.BigInteger(), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reversed_on", sa.Date(), nullable=True),
        sa.Column("reversal_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor > 0 AND credit_minor BETWEEN 0 AND amount_minor", name="payment_amounts"),
        sa.ForeignKeyConstraint(
            ["customer_id"],
            ["customer.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("seller_id", "external_id", name="payment_external_id"),
        sa.UniqueConstraint("seller_id", "provider", "reference", name="payment_reference"),
    )
    op.create_index("payment_customer", "payment", ["customer_id", "id"], unique=False)
    op.create_index("payment_seller", "payment", ["seller_id", "id"], unique=False)
    op.create_table(
        "allocation",
        sa.Column("payment_id", sa.UUID(), nullable=False),
        sa.Column("invoice_id", sa.UUID(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("balance_after_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name="allocation_amount"),
        sa.ForeignKeyConstraint(
            ["invoice_id"],
            ["invoice.id"],
        ),
        sa.ForeignKeyConstraint(
            ["payment_id"],
            ["payment.id"],
        ),
        sa.PrimaryKeyConstraint("payment_id", "invoice_id"),
    )
    op.create_index("allocation_invoice", "allocation", ["invoice_id"], unique=False)
    op.create_table(
        "dispute",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("seller_id", sa.UUID(), nullable=False),
        sa.Column("customer_id", sa.UUID(), nullable=False),
        sa.Column("invoice_id", sa.UUID(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("deadline", sa.Date(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["customer_id"],
            ["customer.id"],
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"],
            ["invoice.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("dispute_invoice", "dispute", ["invoice_id"], unique=False)
    op.create_table(
        "hold",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("seller_id", sa.UUID(), nullable=False),
        sa.Column("customer_id", sa.UUID(), nullable=False),
        sa.Column("invoice_id", sa.UUID(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("release_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("release_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["customer_id"],
            ["customer.id"],
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"],
            ["invoice.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("hold_customer", "hold", ["customer_id"], unique=False)
    op.create_index("hold_invoice", "hold", ["invoice_id"], unique=False)
    op.create_index(
        "hold_running",
        "hold",
        ["release_at"],
        unique=False,
        postgresql_where=sa.text("released_at IS NULL AND release_at IS NOT NULL"),
    )
    op.create_table(
        "promise",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("seller_id", sa.UUID(), nullable=False),
        sa.Column("customer_id", sa.UUID(), nullable=False),
        sa.Column("invoice_id", sa.UUID(), nullable=False),
        sa.Column("promised_on", sa.Date(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("grace_until", sa.Date(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["customer_id"],
            ["customer.id"],
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"],
            ["invoice.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("promise_invoice", "promise", ["invoice_id"], unique=False)
    op.create_index(
        "promise_running", "promise", ["expires_at"], unique=False, postgresql_where=sa.text("status = 'running'")
    )


def downgrade() -> None:
    op.drop_index("promise_running", table_name="promise", postgresql_where=sa.text("status = 'running'"))
    op.drop_index("promise_invoice", table_name="promise")
    op.drop_table("promise")
    op.drop_index(
        "hold_running", table_name="hold", postgresql_where=sa.text("released_at IS NULL AND release_at IS NOT NULL")
    )
    op.drop_index("hold_invoice", table_name="hold")
    op.drop_index("hold_customer", table_name="hold")
    op.drop_table("hold")
    op.drop_index("dispute_invoice", table_name="dispute")
    op.drop_table("dispute")
    op.drop_index("allocation_invoice", table_name="allocation")
    op.drop_table("allocation")
    op.drop_index("payment_seller", table_name="payment")
    op.drop_index("payment_customer", table_name="payment")
    op.drop_table("payment")
    op.drop_index("invoice_updated", table_name="invoice")
    op.drop_index("invoice_seller", table_name="invoice")
    op.drop_index(
        "invoice_open_due", table_name="invoice", postgresql_where=sa.text("status IN ('issued', 'partly_paid')")
    )
    op.drop_index("invoice_open", table_name="invoice", postgresql_where=sa.text("status IN ('issued', 'partly_paid')"))
    op.drop_index("invoice_customer", table_name="invoice")
    op.drop_table("invoice")
    op.drop_index("import_row_status", table_name="import_row")
    op.drop_index("import_row_number", table_name="import_row")
    op.drop_table("import_row")
    op.drop_table("timeline_invoice")
    op.drop_index("timeline_entry_feed", table_name="timeline_entry")
    op.drop_table("timeline_entry")
    op.drop_table("number_series")
    op.drop_index("import_run_seller", table_name="import_run")
    op.drop_table("import_run")
    op.drop_index("customer_updated", table_name="customer")
    op.drop_index("customer_seller", table_name="customer")
    op.drop_index("customer_phone", table_name="customer")
    op.drop_index("customer_email", table_name="customer")
    op.drop_table("customer")
    op.drop_index(op.f("ix_api_key_seller_id"), table_name="api_key")
    op.drop_table("api_key")
    op.drop_table("seller")
    op.drop_index("idempotency_created_at", table_name="idempotency")
    op.drop_table("idempotency")
    op.drop_index(
        "outbox_unpublished",
        table_name="outbox",
        postgresql_where=sa.text("published_at IS NULL AND refused_at IS NULL"),
    )
    op.drop_index(
        "outbox_refused",
        table_name="outbox",
        postgresql_where=sa.text("published_at IS NULL AND refused_at IS NOT NULL"),
    )
    op.drop_table("outbox")
    op.drop_index("inbox_recorded_at", table_name="inbox", postgresql_using="brin")
    op.drop_table("inbox")
    op.drop_index(
        "dead_letter_unresolved",
        table_name="dead_letter",
        postgresql_where=sa.text("status IN ('dead', 'parked', 'retry')"),
    )
    op.drop_table("dead_letter")
