"""tracebacks, links between retries"""

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


def downgrade() -> None:
    op.drop_index("job_retry_of", table_name="job")
    op.drop_column("job", "retry_of")
    op.drop_table("traceback")
