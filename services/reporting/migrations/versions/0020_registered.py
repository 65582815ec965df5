"""What programmes, centres and schemes are called."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0020"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "registered",
        sa.Column("kind", sa.Text, primary_key=True, nullable=False),
        sa.Column("key", sa.Text, primary_key=True, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cause", sa.Text),
        sa.Column("data", JSONB, nullable=False),
    )
    # What was heard before is heard again, both streams from their beginning: it changes no row and no cell that is held, and
    # /readyz says meanwhile that it is under way.
    op.execute(
        "INSERT INTO rebuilds (stream, until) SELECT stream, position FROM heard "
        "ON CONFLICT (stream) DO UPDATE SET until = greatest(rebuilds.until, excluded.until)"
    )
    op.execute("UPDATE heard SET position = 0")
