"""How the last rebuild stands."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "remakings",
        sa.Column("id", sa.SmallInteger, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("state", JSONB, nullable=False),
    )
