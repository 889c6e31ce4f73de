"""scheduled jobs are counted by queue"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

DUE = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    op.drop_index("job_due", "job")
    op.create_index("job_due", "job", ["due_at", "queue"], sqlite_where=DUE, postgresql_where=DUE)
    # Samples are kept for an hour, so that none need be carried over.
    op.drop_table("sample")
    op.create_table(
        "sample",
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("ready", sa.Integer(), nullable=True),
        sa.Column("unacknowledged", sa.Integer(), nullable=True),
        sa.Column("consumers", sa.Integer(), nullable=True),
        sa.Column("unfinished", sa.Integer(), nullable=False),
        sa.Column("scheduled", sa.Integer(), nullable=False),
        sa.Column("in_rate", sa.Float(), nullable=False),
        sa.Column("out_rate", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("at", "name"),
    )


def downgrade() -> None:
    op.drop_table("sample")
    op.create_table(
        "sample",
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("ready", sa.Integer(), nullable=True),
        sa.Column("unacknowledged", sa.Integer(), nullable=True),
        sa.Column("consumers", sa.Integer(), nullable=True),
        sa.Column("unfinished", sa.Integer(), nullable=False),
        sa.Column("in_rate", sa.Float(), nullable=False),
        sa.Column("out_rate", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("at", "queue"),
    )
    op.drop_index("job_due", "job")
    op.create_index("job_due", "job", ["due_at"], sqlite_where=DUE, postgresql_where=DUE)
