"""The journal, what is true by now, the register, offices, and what the bus needs."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

UNSETTLED = sa.text("status <> 'accepted' OR code <> 'applied' OR target IS NOT NULL")


def upgrade() -> None:
    _journal()
    _states()
    op.create_table("register_keys", _text("owner", primary_key=True), _bytes("sealed"))
    op.create_table(
        "register_entries",
        _text("source", primary_key=True),
        _text("id", primary_key=True),
        _text("owner"),
        _bytes("sealed"),
    )
    op.create_index("register_entries_owner_idx", "register_entries", ["owner"])
    _offices()
    _bus()


def _journal() -> None:
    op.create_table(
        "events",
        _text("source", primary_key=True),
        _text("id", primary_key=True),
        sa.Column("place", sa.BigInteger, sa.Identity(always=True), nullable=False),
        _text("type"),
        _moment("time"),
        sa.Column("rank", sa.SmallInteger, nullable=False),
        _text("unit"),
        sa.Column("enrolment", sa.Text),
        sa.Column("target", sa.Text),
        sa.Column("needs", ARRAY(sa.Text), nullable=False),
        sa.Column("data", JSONB, nullable=False),
        sa.Column("person", JSONB),
        _bytes("content"),
        _text("postedby"),
        _moment("recordedtime"),
        _text("status"),
        _text("code"),
        sa.Column("number", sa.Integer, nullable=False),
        sa.UniqueConstraint("place", name="events_place_key"),
    )
    op.create_index("events_unit_idx", "events", ["unit", "time"])
    op.create_index("events_unsettled_idx", "events", ["unit"], postgresql_where=UNSETTLED)
    op.create_index("events_target_idx", "events", ["source", "target"], postgresql_where=sa.text("target IS NOT NULL"))
    op.create_index("events_needs_idx", "events", ["needs"], postgresql_using="gin")
    op.create_index("events_enrolment_idx", "events", ["enrolment"])
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
        "reused_ids",
        _text("source", primary_key=True),
        _text("id", primary_key=True),
        sa.Column("content", sa.LargeBinary, primary_key=True),
        _text("owner"),
        _bytes("sealed"),
        _text("postedby"),
        _moment("recordedtime"),
    )


def _states() -> None:
    op.create_table("programmes", _text("programme", primary_key=True), _text("status"), _json("data"))
    op.create_table("centres", _text("centre", primary_key=True), _text("status"), _json("data"))
    op.create_table(
        "cohorts",
        _text("cohort", primary_key=True),
        _text("status"),
        sa.Column("offices", ARRAY(sa.Text), nullable=False),
        _json("state"),
    )
    op.create_index("cohorts_offices_idx", "cohorts", ["offices"], postgresql_using="gin")
    op.create_table(
        "enrolments",
        _text("enrolment", primary_key=True),
        _text("cohort"),
        _text("status"),
        _text("country"),
        _text("person"),
        _json("state"),
        sa.Column("sealed", sa.LargeBinary),
    )
    op.create_index("enrolments_cohort_idx", "enrolments", ["cohort"])
    op.create_table("links", _text("enrolment", primary_key=True), _text("link", primary_key=True))
    op.create_index("links_link_idx", "links", ["link"])


def _offices() -> None:
    op.create_table(
        "offices",
        sa.Column("office", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        _json("roles"),
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


def _bus() -> None:
    head = op.create_table(
        "outbox_head",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(head, [{"id": 1, "epoch": 1, "position": 0}])
    op.create_table(
        "things",
        _text("kind", primary_key=True),
        _text("key", primary_key=True),
        _text("subject"),
        sa.Column("revision", sa.BigInteger, nullable=False),
        _json("body"),
    )
    op.create_table(
        "outbox",
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        _text("subject"),
        _text("body"),
    )
    op.create_table("notices", sa.Column("id", sa.BigInteger, primary_key=True), _text("subject"), _text("body"))
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.BigInteger, primary_key=True),
        _text("stream"),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        _text("subject"),
        _text("error"),
        _bytes("body"),
        _moment("recordedtime"),
        _moment("expires"),
    )
    op.create_index("dead_letters_expires_idx", "dead_letters", ["expires"])


def _text(name: str, *, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, primary_key=primary_key, nullable=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _json(name: str) -> sa.Column[Any]:
    return sa.Column(name, JSONB, nullable=False)


def _moment(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)
