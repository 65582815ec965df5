"""How far a rebuild of the read side must come."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rebuilds",
        sa.Column("stream", sa.Text, primary_key=True, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
