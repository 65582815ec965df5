"""The rows of cohorts, enrolments and certificates, the cube, offices, and what the bus needs."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

DIMENSIONS = (
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
)


def upgrade() -> None:
    op.create_table("cohorts", _text("cohort", primary_key=True), *_held())
    op.create_table("enrolments", _text("enrolment", primary_key=True), _text("cohort"), _text("person"), *_held())
    op.create_index("enrolments_cohort_idx", "enrolments", ["cohort"])
    op.create_index("enrolments_person_idx", "enrolments", ["person"])
    op.create_table("certificates", _text("certificate", primary_key=True), _text("enrolment"), *_held())
    op.create_index("certificates_enrolment_idx", "certificates", ["enrolment"])
    op.create_table(
        "cube",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        _text("measure"),
        *(_text(dimension) for dimension in DIMENSIONS),
        _bigint("value"),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index("cube_measure_idx", "cube", ["measure"])
    op.create_table(
        "offices",
        sa.Column("office", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("roles", JSONB, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column("sha256", sa.String, primary_key=True),
        sa.Column("office", sa.String, nullable=False),
        sa.Column("officer", sa.String, nullable=False),
        _moment("expires"),
    )
    op.create_index("tokens_office_idx", "tokens", ["office"])
    op.create_table("heard", _text("stream", primary_key=True), _bigint("position"))
    op.create_table("notices", sa.Column("id", sa.BigInteger, primary_key=True), _text("subject"), _text("body"))
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.BigInteger, primary_key=True),
        _text("stream"),
        _bigint("sequence"),
        _text("subject"),
        _text("error"),
        sa.Column("body", sa.LargeBinary, nullable=False),
        _moment("recordedtime"),
        _moment("expires"),
    )
    op.create_index("dead_letters_expires_idx", "dead_letters", ["expires"])


def _text(name: str, *, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, primary_key=primary_key, nullable=False)


def _bigint(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def _held() -> tuple[sa.Column[Any], ...]:
    return (_bigint("epoch"), _bigint("revision"), sa.Column("data", JSONB, nullable=False))
