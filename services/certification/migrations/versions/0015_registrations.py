"""Registrations are found by their scheme: without an index every decision read the whole journal for them."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "events_registered_idx", "events", ["scheme"], postgresql_where=sa.text("type = 'scheme.registered.v1'")
    )
