"""What an import writes beside its invoices costs less: no look at rows locked anyway, no index of rows that went in.

A check of a foreign key is a query for each row, 10 µs of the server's. Runs are never deleted, invoices only as drafts
(which no import makes). The release before needs none of what goes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint("import_row_import_id_fkey", "import_row", type_="foreignkey")
    op.drop_constraint("import_stated_invoice_id_fkey", "import_stated", type_="foreignkey")
    op.create_index(
        "import_row_rejected", "import_row", ["import_id", "line"], postgresql_where=sa.text("status = 'rejected'")
    )
    op.drop_index("import_row_status", "import_row")


def downgrade() -> None:
    op.create_index("import_row_status", "import_row", ["import_id", "status", "line"])
    op.drop_index("import_row_rejected", "import_row")
    op.create_foreign_key("import_stated_invoice_id_fkey", "import_stated", "invoice", ["invoice_id"], ["id"])
    op.create_foreign_key(
        "import_row_import_id_fkey", "import_row", "import_run", ["import_id"], ["id"], ondelete="CASCADE"
    )
