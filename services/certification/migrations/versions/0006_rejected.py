"""Bodies that were rejected, sealed, for a stated time."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "rejected",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("source", sa.Text),
        sa.Column("postedby", sa.Text, nullable=False),
        sa.Column("codes", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("recordedtime", TIME, nullable=False),
        sa.Column("expires", TIME, nullable=False),
    )
    op.create_index("rejected_expires_idx", "rejected", ["expires"])
