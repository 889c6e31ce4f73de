"""tracebacks, links between retries, groups of failures"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "traceback",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job_id"),
    )
    op.add_column("job", sa.Column("retry_of", sa.String(length=36), nullable=True))
    is_retry = sa.text("retry_of IS NOT NULL")
    op.create_index("job_retry_of", "job", ["retry_of", "seq"], sqlite_where=is_retry, postgresql_where=is_retry)
    op.add_column("job", sa.Column("failure", sa.String(length=16), nullable=True))
    has_failed = sa.text("failure IS NOT NULL")
    op.create_index("job_failure", "job", ["failure", "seq"], sqlite_where=has_failed, postgresql_where=has_failed)
    op.create_table(
        "failure",
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("jobs", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.Float(), nullable=False),
        sa.Column("last_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("failure_last", "failure", ["last_at", "key"])
    op.create_table(
        "failure_hour",
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("jobs", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", "slot"),
    )


def downgrade() -> None:
    op.drop_table("failure_hour")
    op.drop_table("failure")
    op.drop_index("job_failure", table_name="job")
    op.drop_column("job", "failure")
    op.drop_index("job_retry_of", table_name="job")
    op.drop_column("job", "retry_of")
    op.drop_table("traceback")
