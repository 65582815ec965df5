"""Centres by name, for documents. What enrolment told of them before is heard again; what is known already changes nothing."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "centres",
        sa.Column("centre", sa.Text, primary_key=True),
        sa.Column("names", JSONB, nullable=False),
        sa.Column("void", sa.Boolean, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.execute("UPDATE heard SET position = 0 WHERE stream = 'ENROLMENT'")


def downgrade() -> None:
    op.drop_table("centres")
