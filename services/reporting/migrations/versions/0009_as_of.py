"""What was known when: the cube's changes by position, past facts, and where each fact stood; the month in which a cohort ends.

What was held without all this is made anew from the streams, as a rebuild does.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM rebuilds")
    op.execute("INSERT INTO rebuilds (stream, until) SELECT stream, position FROM heard")
    op.execute("UPDATE heard SET position = 0")
    for table in ("cohorts", "enrolments", "certificates", "cube", "cube_version", "dead_letters"):
        op.execute(f"DELETE FROM {table}")  # noqa: S608 - these names
    for table in ("cohorts", "enrolments", "certificates"):
        op.add_column(table, _bigint("position"))
        op.add_column(table, _moment("time"))
        op.add_column(table, sa.Column("cause", sa.Text))
    op.create_table(
        "past_facts",
        _text("kind", primary_key=True),
        _text("key", primary_key=True),
        _bigint("epoch", primary_key=True),
        _bigint("revision", primary_key=True),
        _bigint("position"),
        _moment("time"),
        sa.Column("cause", sa.Text),
        sa.Column("data", JSONB, nullable=False),
    )
    op.add_column("cube", _text("end_month"))
    op.add_column("cube_version", _moment("time"))
    op.create_table(
        "cube_steps",
        _bigint("step", primary_key=True),
        _moment("time"),
        _bigint("enrolment"),
        _bigint("certification"),
        sa.Column("why", sa.Text),
    )
    for column in ("time", "enrolment", "certification"):
        op.create_index(f"cube_steps_{column}_idx", "cube_steps", [column])
    op.create_table(
        "cube_changes",
        _bigint("step", primary_key=True),
        sa.Column("key", sa.LargeBinary, primary_key=True),
        _bigint("delta"),
    )


def _text(name: str, *, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, primary_key=primary_key, nullable=False)


def _bigint(name: str, *, primary_key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=primary_key, nullable=False, autoincrement=False)


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)
