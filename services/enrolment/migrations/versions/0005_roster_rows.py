"""What offices' rosters led to, row by row."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "roster_rows",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("cohort", sa.Text, primary_key=True),
        sa.Column("number", sa.Text, primary_key=True),
        sa.Column("part", sa.Text, primary_key=True),
        sa.Column("events", JSONB, nullable=False),
        sa.Column("digests", JSONB, nullable=False),
        sa.Column("carrier", sa.Text),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("said", JSONB, nullable=False),
    )
