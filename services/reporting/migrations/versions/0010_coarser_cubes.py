"""Coarser cubes beside the fine one, and the changes that are not yet in them; the fine one is found by measure and cohort."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

PLACED = (
    "measure",
    "programme",
    "country",
    "host_country",
    "sending_centre",
    "host_centre",
    "cohort",
    "trade",
    "mode",
    "scheme",
    "occupation",
    "level",
    "sex",
    "role",
    "age_band",
    "disability",
    "outcome",
    "months_after",
    "month",
    "start_month",
    "end_month",
)


def upgrade() -> None:
    op.drop_index("cube_measure_idx", "cube")
    op.create_index("cube_measure_cohort_idx", "cube", ["measure", "cohort"])
    op.create_table(
        "coarse_cubes",
        sa.Column("grain", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key", sa.LargeBinary, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in PLACED),
        sa.Column("value", sa.BigInteger, nullable=False),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index("coarse_cubes_grain_measure_idx", "coarse_cubes", ["grain", "measure"])
    op.create_table(
        "cube_tail",
        sa.Column("id", sa.BigInteger, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in PLACED),
        sa.Column("delta", sa.BigInteger, nullable=False),
    )
    columns = ", ".join(PLACED)
    # What is in the fine cube already goes the way of all changes.
    op.execute(f"INSERT INTO cube_tail ({columns}, delta) SELECT {columns}, value FROM cube WHERE measure <> 'people'")  # noqa: S608
