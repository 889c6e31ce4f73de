"""the audit is written faster: without an index of times, and submissions are not in that of subjects"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("audit_at", "audit")
    op.drop_index("audit_subject", "audit")
    no_submission = sa.text("action != 'submit'")
    op.create_index("audit_subject", "audit", ["subject"], sqlite_where=no_submission, postgresql_where=no_submission)


def downgrade() -> None:
    op.drop_index("audit_subject", "audit")
    op.create_index("audit_at", "audit", ["at"])
    op.create_index("audit_subject", "audit", ["subject"])
