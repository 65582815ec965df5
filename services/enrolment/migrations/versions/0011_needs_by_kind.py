"""What was decided about two persons is found by an index of its own, and events that need nothing are in no index of needs.

Taking enrolments in asks what was decided about them, under the publish lock. Rows that such an index puts off are gone through
for each key that is asked for: with 500 enrolments and some thousand events, that was a quarter of the time.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("events_needs_idx", "events")
    for name, which in (
        ("events_needs_idx", "needs <> '{}'"),
        ("events_of_two_idx", "type IN ('person.merged.v1', 'person.parted.v1')"),
    ):
        op.create_index(
            name,
            "events",
            ["needs"],
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
            postgresql_where=sa.text(which),
        )
