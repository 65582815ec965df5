"""The journal of events, schemes and certificates, what enrolment tells, offices, the outbox and what the bus needs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _journal()
    _state()
    _heard_of_enrolment()
    _outbox()


def _journal() -> None:
    op.create_table(
        "events",
        _text("source", primary_key=True),
        _text("id", primary_key=True),
        sa.Column("place", sa.BigInteger, sa.Identity(always=True), nullable=False, unique=True),
        _text("type"),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("body", JSONB, nullable=False),
        _text("enrolment", nullable=True),
        _text("scheme", nullable=True),
        _text("number", nullable=True),
        _text("target", nullable=True),
        _moment("recordedtime"),
        _text("postedby"),
        _text("status"),
        _text("code"),
        sa.Column("receipt", sa.Integer, nullable=False),
    )
    op.create_index("events_enrolment_idx", "events", ["enrolment"])
    op.create_index("events_target_idx", "events", ["source", "target"])
    op.create_index("events_number_idx", "events", ["scheme", "number"])
    op.create_table(
        "receipts",
        _text("source", primary_key=True),
        _text("id", primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        _text("status"),
        _text("code"),
        _moment("recordedtime"),
    )
    op.create_table(
        "refused",
        sa.Column("place", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        _text("source"),
        _text("id"),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("body", JSONB, nullable=False),
        _moment("recordedtime"),
        _text("postedby"),
    )


def _state() -> None:
    op.create_table("schemes", _text("scheme", primary_key=True), sa.Column("data", JSONB, nullable=False))
    op.create_table(
        "certificates",
        _text("certificate", primary_key=True),
        _text("enrolment"),
        _text("cohort"),
        _text("scheme"),
        _text("status"),
        _text("country"),
        sa.Column("data", JSONB, nullable=False),
    )
    op.create_index("certificates_enrolment_idx", "certificates", ["enrolment"])
    op.create_index("certificates_cohort_idx", "certificates", ["cohort"])
    op.create_index("certificates_scheme_idx", "certificates", ["scheme"])


def _heard_of_enrolment() -> None:
    op.create_table(
        "cohorts",
        _text("cohort", primary_key=True),
        _text("timezone"),
        sa.Column("parties", JSONB, nullable=False),
        _bigint("epoch"),
        _bigint("revision"),
    )
    op.create_table(
        "trainees",
        _text("enrolment", primary_key=True),
        _text("cohort"),
        _text("number"),
        _text("person"),
        _text("country"),
        _text("completion"),
        sa.Column("completed_on", sa.Date, nullable=True),
        sa.Column("completion_withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        _bigint("epoch"),
        _bigint("revision"),
    )
    op.create_index("trainees_cohort_idx", "trainees", ["cohort"])
    op.create_index("trainees_person_idx", "trainees", ["person"])
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


def _outbox() -> None:
    head = op.create_table(
        "outbox_head",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("epoch", sa.Integer, nullable=False),
        _bigint("position"),
    )
    op.bulk_insert(head, [{"id": 1, "epoch": 1, "position": 0}])
    op.create_table(
        "things",
        _text("kind", primary_key=True),
        _text("key", primary_key=True),
        _text("subject"),
        _bigint("revision"),
        sa.Column("body", JSONB, nullable=False),
    )
    op.create_table(
        "outbox",
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        _text("subject"),
        _text("body"),
    )
    op.create_table("notices", sa.Column("id", sa.BigInteger, primary_key=True), _text("subject"), _text("body"))
    op.create_table("heard", _text("stream", primary_key=True), _bigint("position"))
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


def _text(name: str, *, primary_key: bool = False, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, primary_key=primary_key, nullable=nullable)


def _bigint(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)
