"""How far enrolment's stream was applied at a step that certification's facts made.

A scheme or a recognition in their batch was taken for a fact of enrolment, at its position among certification's. No counted fact
of enrolment stands between the newest that was known at a step and how far that stream was heard, so either means the same.
"""

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A copy of the version before may still run: what it writes waits, and may be as wrong.
    op.execute("SELECT pg_advisory_xact_lock(hashtextextended('reporting.projection', 0))")
    op.execute(
        """
        WITH facts AS (
            SELECT step, position, false AS certificate FROM cohorts
            UNION ALL SELECT step, position, false FROM enrolments
            UNION ALL SELECT step, position, true FROM certificates
            UNION ALL SELECT step, position, kind = 'certificate' FROM past_facts
        ), known AS (
            SELECT step, bool_or(certificate) AS certificates, max(position) FILTER (WHERE NOT certificate) AS upto
            FROM facts GROUP BY step
        ), mended AS (
            SELECT step, coalesce(
                max(CASE WHEN certificates AND why IS NULL THEN known.upto ELSE enrolment END) OVER (ORDER BY step), 0
            ) AS upto
            FROM cube_steps LEFT JOIN known USING (step)
        )
        UPDATE cube_steps AS held SET enrolment = mended.upto
        FROM mended WHERE held.step = mended.step AND mended.upto < held.enrolment
        """
    )
