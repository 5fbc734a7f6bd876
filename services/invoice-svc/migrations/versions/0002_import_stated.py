"""What the last import said of an invoice; disputes of a seller by id."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "import_stated",
        sa.Column("invoice_id", sa.UUID(), nullable=False),
        sa.Column("disputed", sa.Boolean(), nullable=False),
        sa.Column("paid_date", sa.Date(), nullable=True),
        sa.Column("open_minor", sa.BigInteger(), nullable=True),
        sa.Column("dispute_id", sa.UUID(), nullable=True),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"]),
        sa.PrimaryKeyConstraint("invoice_id"),
    )
    op.create_index("dispute_seller", "dispute", ["seller_id", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("dispute_seller", table_name="dispute")
    op.drop_table("import_stated")
