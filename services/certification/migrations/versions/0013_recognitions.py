"""What countries recognise, and which events say something of the same."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("recognised", sa.Text))
    op.create_index("events_recognised_idx", "events", ["recognised"])
    op.create_table(
        "recognitions",
        sa.Column("recognition", sa.Text, primary_key=True),
        sa.Column("recognised", sa.Text, nullable=False),
        sa.Column("country", sa.Text, nullable=False),
        sa.Column("scheme", sa.Text, nullable=False),
        sa.Column("occupation", sa.Text, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("starts_on", sa.Date, nullable=False),
        sa.Column("ends_on", sa.Date),
        sa.Column("data", JSONB, nullable=False),
    )
    op.create_index("recognitions_recognised_idx", "recognitions", ["recognised"])
    op.create_index("recognitions_level_idx", "recognitions", ["scheme", "occupation", "level", "country"])
