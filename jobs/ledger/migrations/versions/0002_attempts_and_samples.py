"""attempts and samples"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attempt",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=128), nullable=True),
        sa.Column("started_at", sa.Float(), nullable=True),
        sa.Column("ended_at", sa.Float(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("job_id", "number"),
    )
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.create_index("attempt_ended", ["ended_at"], unique=False)

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


def downgrade() -> None:
    op.drop_table("sample")
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.drop_index("attempt_ended")

    op.drop_table("attempt")
