"""Public figures: whether they are on, exceptions, and the versions of the tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "publication",
        sa.Column("id", sa.SmallInteger, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("on", sa.Boolean, nullable=False),
        sa.Column("threshold", sa.SmallInteger, nullable=False),
    )
    op.create_table(
        "released_exceptions",
        sa.Column("id", sa.BigInteger, primary_key=True, nullable=False),
        sa.Column("programme", sa.Text, nullable=False),
        sa.Column("table", sa.Text, nullable=False),
        sa.Column("row", sa.Text),
        sa.Column("measure", sa.Text, nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("made", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
    )
    op.create_table(
        "releases",
        sa.Column("version", sa.BigInteger, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("released", sa.Date, nullable=False, unique=True),
        sa.Column("threshold", sa.SmallInteger, nullable=False),
        sa.Column("position", JSONB, nullable=False),
        sa.Column("tables", JSONB, nullable=False),
        sa.Column("kept", JSONB, nullable=False),
        sa.Column("kept_back", JSONB, nullable=False),
    )
