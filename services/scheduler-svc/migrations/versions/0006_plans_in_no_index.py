"""When a follow-up falls due is in no index: it changes with every reminder, and no statement looked there."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NAME = "follow_up_next_at"


def upgrade() -> None:
    op.drop_index(NAME, table_name="follow_up")


def downgrade() -> None:
    op.create_index(NAME, "follow_up", ["seller_id", "next_at"], postgresql_where=sa.text("next_at IS NOT NULL"))
