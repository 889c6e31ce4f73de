"""to-dos that were deleted, and can be restored for a while"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("todo", sa.Column("deleted_at", sa.Float()))


def downgrade() -> None:
    op.execute("DELETE FROM todo WHERE deleted_at IS NOT NULL")
    op.drop_column("todo", "deleted_at")
