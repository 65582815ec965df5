"""Since when a fact is known: the first step of the cube in which it was. And the step at which a period's version was made.

A dead letter that is replayed is known later than what stands behind it in its stream, so its position does not tell. Of facts
from before this, the step of their position is the best that is known.
"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_STREAMS = {"cohorts": "enrolment", "enrolments": "enrolment", "certificates": "certification", "past_facts": None}


def upgrade() -> None:
    # A copy of the version before may still run, and takes this one first.
    op.execute("SELECT pg_advisory_xact_lock(hashtextextended('reporting.projection', 0))")
    # That copy says no step.
    op.execute(
        """
        CREATE OR REPLACE FUNCTION next_step() RETURNS bigint LANGUAGE sql STABLE
        AS 'SELECT coalesce(max(number), 0) + 1 FROM cube_version'
        """
    )
    for table, stream in _STREAMS.items():
        op.add_column(table, sa.Column("step", sa.BigInteger), if_not_exists=True)
        of = [_step_of(name) for name in ("certification", "enrolment")]
        which = _step_of(stream) if stream else f"CASE kind WHEN 'certificate' THEN {of[0]} ELSE {of[1]} END"
        op.execute(f"UPDATE {table} AS fact SET step = coalesce({which}, next_step())")  # noqa: S608 (fixed names)
        op.execute(f"ALTER TABLE {table} ALTER COLUMN step SET NOT NULL, ALTER COLUMN step SET DEFAULT next_step()")
    op.add_column("period_versions", sa.Column("step", sa.BigInteger), if_not_exists=True)


def _step_of(stream: str) -> str:
    return (
        f"(SELECT steps.step FROM cube_steps AS steps WHERE steps.{stream} >= fact.position "  # noqa: S608 (fixed names)
        f"ORDER BY steps.{stream}, steps.step LIMIT 1)"
    )
