"""Most events name no other, give no number and recognise nothing: the indexes are of those that do."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

COLUMNS = {"target": ["source", "target"], "number": ["source", "number"], "recognised": ["recognised"]}


def upgrade() -> None:
    for column, columns in COLUMNS.items():
        op.drop_index(f"events_{column}_idx", "events")
        op.create_index(f"events_{column}_idx", "events", columns, postgresql_where=sa.text(f"{column} IS NOT NULL"))


def downgrade() -> None:
    for column, columns in COLUMNS.items():
        op.drop_index(f"events_{column}_idx", "events")
        op.create_index(f"events_{column}_idx", "events", columns)
