"""Escalations that are heard of before their customer wait in the customer's row."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("customer", sa.Column("waiting", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("customer", "waiting")
