"""What enrolment tells to be void counts as not told: that is held too."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("cohorts", "trainees"):
        op.add_column(table, sa.Column("void", sa.Boolean, nullable=False, server_default=sa.false()))
        op.alter_column(table, "void", server_default=None)
