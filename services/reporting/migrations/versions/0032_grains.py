"""Other coarser cubes than before, made from the fine one: what is in it goes the way of all changes, through the tail."""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

PLACED = (
    "measure programme country host_country sending_centre host_centre cohort trade mode scheme occupation level sex role "
    "age_band disability outcome months_after month start_month end_month"
).replace(" ", ", ")


def upgrade() -> None:
    op.execute("DELETE FROM coarse_cubes")
    op.execute("DELETE FROM cube_tail")
    op.execute(f"INSERT INTO cube_tail ({PLACED}, delta) SELECT {PLACED}, value FROM cube WHERE measure <> 'people'")  # noqa: S608
