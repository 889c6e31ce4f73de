"""summaries of each kind of job, a day of samples, memory of workers"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "summary",
        sa.Column("span", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("succeeded", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("cancelled", sa.Integer(), nullable=False),
        sa.Column("waits", sa.JSON(), nullable=False),
        sa.Column("runs", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("span", "type", "slot"),
    )
    op.create_table(
        "mark",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.add_column("sample", sa.Column("of_minute", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("worker", sa.Column("memory", sa.BigInteger(), nullable=True))
    op.add_column("worker", sa.Column("memory_limit", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    for column in ("memory_limit", "memory"):
        op.drop_column("worker", column)
    op.drop_column("sample", "of_minute")
    op.drop_table("mark")
    op.drop_table("summary")
