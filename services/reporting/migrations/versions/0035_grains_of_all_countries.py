"""Three coarser cubes more, without countries: all of a programme, by month, and by the month in which cohorts end.

And an index that finds a few months in a coarser cube, in the place of the one that read them all.
"""

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

DIMENSIONS = [
    *("programme", "country", "host_country", "sending_centre", "host_centre", "cohort", "trade", "mode"),
    *("scheme", "occupation", "level", "sex", "role", "age_band", "disability", "outcome", "months_after"),
    *("month", "start_month", "end_month"),
]
GRAINS = [["programme", "sex"], ["programme", "sex", "month"], ["programme", "sex", "end_month"]]


def upgrade() -> None:
    # A copy of the version before may still run: what the new cubes are made without must stay in the tail. In the order in which
    # that copy takes them, or the two would wait for each other.
    op.execute("LOCK TABLE coarse_cubes, cube_tail IN SHARE ROW EXCLUSIVE MODE")
    for grain in GRAINS:
        number = sum(1 << place for place, name in enumerate(reversed(DIMENSIONS)) if name not in grain)
        names = ", ".join(grain)
        places = ", ".join(name if name in grain else f"'_T' AS {name}" for name in DIMENSIONS)
        # Without the tail: a reader adds it, and so will the next roll.
        op.execute(
            f"""
            INSERT INTO coarse_cubes (grain, key, measure, {", ".join(DIMENSIONS)}, value)
            SELECT {number}, decode(md5(concat_ws('|', measure, {names})), 'hex'), counts.*
            FROM (
                SELECT measure, {places}, sum(value) AS value
                FROM (
                    SELECT measure, {names}, value FROM cube
                    UNION ALL SELECT measure, {names}, -delta FROM cube_tail
                ) AS rolled
                WHERE measure <> 'people' GROUP BY measure, {names} HAVING sum(value) <> 0
            ) AS counts
            """  # noqa: S608 (fixed names)
        )
    op.execute("CREATE INDEX IF NOT EXISTS coarse_cubes_months_idx ON coarse_cubes (grain, measure, month, end_month)")
    op.execute("DROP INDEX IF EXISTS coarse_cubes_grain_measure_idx")
    op.execute(
        """
        CREATE OR REPLACE FUNCTION tail_is_for_every_cube() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF current_setting('sampan.coarser_cubes', true) IS DISTINCT FROM '39' THEN
                RAISE EXCEPTION 'the coarser cubes are added to by a copy of another version';
            END IF;
            RETURN NULL;
        END $$
        """
    )
