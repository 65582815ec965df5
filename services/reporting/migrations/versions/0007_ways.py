"""The way of each event: the id that follows it, and its trace."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notices", sa.Column("correlation", sa.Text))
    op.add_column("notices", sa.Column("traceparent", sa.Text))
