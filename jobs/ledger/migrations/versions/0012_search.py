"""an index of the words of jobs that have ended"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "search_gap",
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("block"),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE job_words USING fts5 (words, content='', contentless_delete=1, detail=none,"
            " tokenize='unicode61 remove_diacritics 0')"
        )
        # Otherwise a transaction that removes rows sometimes merges a large part of the index, for 50 ms and more.
        op.execute("INSERT INTO job_words (job_words, rank) VALUES ('deletemerge', 0)")
    else:
        op.execute("CREATE TABLE job_words (rowid bigint PRIMARY KEY, words tsvector NOT NULL)")
        op.execute("CREATE INDEX job_words_words ON job_words USING gin (words)")


def downgrade() -> None:
    op.execute("DROP TABLE job_words")
    op.drop_table("search_gap")
