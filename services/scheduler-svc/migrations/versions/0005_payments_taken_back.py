"""A step that ended because nothing was owed is decided again when the payment is taken back."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

OF_STEP = "final AND demand_id IS NULL"
SUPERSEDED = """
DELETE FROM decision USING decision AS later WHERE decision.reopens AND later.final
AND decision.demand_id IS NULL AND later.demand_id IS NULL
AND later.invoice_id = decision.invoice_id AND later.step = decision.step
AND (later.at, later.id) > (decision.at, decision.id)
"""


def upgrade() -> None:
    op.add_column("decision", sa.Column("reopens", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    _one_final(f"{OF_STEP} AND NOT reopens")


def downgrade() -> None:
    op.execute(SUPERSEDED)
    _one_final(OF_STEP)
    op.drop_column("decision", "reopens")


def _one_final(where: str) -> None:
    op.drop_index("decision_one_final", table_name="decision")
    columns = ["invoice_id", "step"]
    op.create_index("decision_one_final", "decision", columns, unique=True, postgresql_where=sa.text(where))
