"""Which fact was applied last of each stream: one that was made anew from another history is told by it."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A copy of the version before goes on without it: what it says is good for its own position only.
    op.add_column("heard", sa.Column("last", sa.Text), if_not_exists=True)


def downgrade() -> None:
    op.drop_column("heard", "last")
