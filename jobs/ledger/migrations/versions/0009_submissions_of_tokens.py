"""how many jobs a token has submitted in a minute"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("token", sa.Column("minute_began_at", sa.Float(), nullable=False, server_default="0"))
    op.add_column("token", sa.Column("submissions", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("token", "submissions")
    op.drop_column("token", "minute_began_at")
