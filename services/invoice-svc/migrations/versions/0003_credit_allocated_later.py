"""Credit on account is put to invoices later, also to one the payment was put to before."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("allocation", sa.Column("allocated_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_constraint("allocation_pkey", "allocation")
    op.create_primary_key("allocation_pkey", "allocation", ["payment_id", "position"])


def downgrade() -> None:
    op.drop_constraint("allocation_pkey", "allocation")
    op.create_primary_key("allocation_pkey", "allocation", ["payment_id", "invoice_id"])
    op.drop_column("allocation", "allocated_at")
