"""When each row of a roster was said last: one that was signed before that, and came late, does not undo it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("roster_rows", sa.Column("at", sa.DateTime(timezone=True)))
