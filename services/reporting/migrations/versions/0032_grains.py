"""Other coarser cubes than before, made from the fine one: a statement for each, which takes its time in a large one."""

from itertools import combinations

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

DIMENSIONS = [
    *("programme", "country", "host_country", "sending_centre", "host_centre", "cohort", "trade", "mode"),
    *("scheme", "occupation", "level", "sex", "role", "age_band", "disability", "outcome", "months_after"),
    *("month", "start_month", "end_month"),
]
PLACE = ["programme", "country", "host_country", "sex"]
TIMES: list[list[str]] = [[], ["month"], ["end_month"]]
AWARD, OUTCOME = ["scheme", "level"], ["outcome", "months_after"]
KINDS = [["trade"], ["sending_centre"], ["host_centre"], AWARD, OUTCOME]
GRAINS = [
    *([*PLACE, *time] for time in TIMES),
    [*PLACE, "start_month"],
    *([*PLACE, *kind, *time] for time in TIMES for kind in KINDS),
    *([*PLACE, "role", *time] for time in TIMES[1:]),
    [*PLACE, "trade", "mode", "role"],
    [*PLACE, "scheme", "occupation", "level"],
    [*PLACE, "role", "age_band", "disability"],
    *([*PLACE, "age_band", "disability", *time] for time in TIMES[1:]),
    *([*PLACE, *one, *other] for one, other in combinations(KINDS, 2) if (one, other) != (AWARD, OUTCOME)),
]


def upgrade() -> None:
    op.execute("DELETE FROM coarse_cubes")
    op.execute("DELETE FROM cube_tail")
    for grain in GRAINS:
        number = sum(1 << place for place, name in enumerate(reversed(DIMENSIONS)) if name not in grain)
        places = ", ".join(name if name in grain else f"'_T' AS {name}" for name in DIMENSIONS)
        op.execute(
            f"""
            INSERT INTO coarse_cubes (grain, key, measure, {", ".join(DIMENSIONS)}, value)
            SELECT {number}, decode(md5(concat_ws('|', measure, {", ".join(grain)})), 'hex'), counts.*
            FROM (
                SELECT measure, {places}, sum(value) AS value
                FROM cube WHERE measure <> 'people' GROUP BY measure, {", ".join(grain)} HAVING sum(value) <> 0
            ) AS counts
            """  # noqa: S608 (fixed names)
        )
