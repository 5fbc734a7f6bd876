"""What customers wrote, which pauses their follow-up until it is answered."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "d2e7ac829694"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reply",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("seller_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("reply_open", "reply", ["customer_id"], unique=False, postgresql_where=sa.text("NOT answered"))


def downgrade() -> None:
    op.drop_table("reply")
