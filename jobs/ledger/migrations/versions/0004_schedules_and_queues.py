"""recurring jobs, urgent jobs, paused queues"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

URGENT = sa.text("due_at IS NOT NULL AND priority > 0")


def upgrade() -> None:
    op.add_column("job", sa.Column("priority", sa.Integer(), server_default="0", nullable=False))
    op.create_index("job_urgent", "job", ["due_at"], sqlite_where=URGENT, postgresql_where=URGENT)
    op.add_column("sample", sa.Column("paused", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "paused_queue",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("paused_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "schedule",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("cron", sa.String(length=128), nullable=True),
        sa.Column("every", sa.Float(), nullable=True),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("next_run_at", sa.Float(), nullable=True),
        sa.Column("last_run_at", sa.Float(), nullable=True),
        sa.Column("last_job_id", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )


def downgrade() -> None:
    op.drop_table("schedule")
    op.drop_table("paused_queue")
    op.drop_column("sample", "paused")
    op.drop_index("job_urgent", "job")
    op.drop_column("job", "priority")
