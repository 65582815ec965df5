"""People: master keys, who is kept apart, who was forgotten, who looked, and bodies that were rejected."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "master_keys",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("made", TIME, nullable=False),
    )
    # Every key so far is wrapped under the one that is made from the secret itself.
    op.execute("INSERT INTO master_keys (id, sealed, made) VALUES (1, NULL, now())")
    op.add_column("register_keys", sa.Column("master", sa.Integer, nullable=False, server_default="1"))
    op.alter_column("register_keys", "master", server_default=None)
    op.create_index("register_keys_master_idx", "register_keys", ["master"])
    op.create_foreign_key("register_keys_master_fkey", "register_keys", "master_keys", ["master"], ["id"])
    op.create_table(
        "apart",
        sa.Column("one", sa.Text, primary_key=True),
        sa.Column("other", sa.Text, primary_key=True),
    )
    op.create_index("apart_other_idx", "apart", ["other"])
    op.create_table(
        "forgotten",
        sa.Column("enrolment", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("recordedtime", TIME, nullable=False),
    )
    op.create_table(
        "looks",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("office", sa.Text),
        sa.Column("officer", sa.Text, nullable=False),
        sa.Column("enrolment", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("sent_by", sa.Text, nullable=False),
        sa.Column("recipient", sa.Text),
    )
    op.create_index("looks_enrolment_idx", "looks", ["enrolment"])
    op.create_table(
        "rejected",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("source", sa.Text),
        sa.Column("postedby", sa.Text, nullable=False),
        sa.Column("codes", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("recordedtime", TIME, nullable=False),
        sa.Column("expires", TIME, nullable=False),
    )
    op.create_index("rejected_expires_idx", "rejected", ["expires"])
