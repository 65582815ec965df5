"""Until when an office was a party of a cohort that is none any more."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cohorts", sa.Column("former_parties", JSONB, nullable=False, server_default="[]"))
    op.alter_column("cohorts", "former_parties", server_default=None)
