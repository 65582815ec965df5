"""One coarser cube more: by month, of the cohorts that end in some months.

From now on the tail is emptied only by whoever knows as many coarser cubes as there are: during an upgrade a copy of the version
before may still run, which would take out of the tail what it does not add to the new cube.
"""

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

DIMENSIONS = [
    *("programme", "country", "host_country", "sending_centre", "host_centre", "cohort", "trade", "mode"),
    *("scheme", "occupation", "level", "sex", "role", "age_band", "disability", "outcome", "months_after"),
    *("month", "start_month", "end_month"),
]
GRAIN = ["programme", "country", "host_country", "sex", "month", "end_month"]


def upgrade() -> None:
    number = sum(1 << place for place, name in enumerate(reversed(DIMENSIONS)) if name not in GRAIN)
    names = ", ".join(GRAIN)
    places = ", ".join(name if name in GRAIN else f"'_T' AS {name}" for name in DIMENSIONS)
    # What the new cube is made without must stay in the tail, whatever a copy of the version before is doing.
    op.execute("LOCK TABLE coarse_cubes, cube_tail IN SHARE ROW EXCLUSIVE MODE")
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
    op.execute(
        """
        CREATE OR REPLACE FUNCTION tail_is_for_every_cube() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF current_setting('sampan.coarser_cubes', true) IS DISTINCT FROM '36' THEN
                RAISE EXCEPTION 'the coarser cubes are added to by a copy of another version';
            END IF;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE OR REPLACE TRIGGER for_every_cube BEFORE DELETE ON cube_tail
        FOR EACH STATEMENT EXECUTE FUNCTION tail_is_for_every_cube()
        """
    )
