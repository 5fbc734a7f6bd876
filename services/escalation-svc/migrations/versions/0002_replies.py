"""Tasks about what a customer wrote, which belong to no case."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("task", "case_id", nullable=True)
    op.alter_column("task", "rung", nullable=True)
    op.add_column("task", sa.Column("reply_id", sa.UUID(), nullable=True))


def downgrade() -> None:
    op.execute("DELETE FROM task WHERE case_id IS NULL")
    op.drop_column("task", "reply_id")
    op.alter_column("task", "rung", nullable=False)
    op.alter_column("task", "case_id", nullable=False)
