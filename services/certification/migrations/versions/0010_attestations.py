"""What is public of certificates: attestations, the documents on their way, the keys that sign them, and the status lists."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("certificates", sa.Column("due", sa.Boolean, nullable=False, server_default=sa.text("true")))
    op.create_index("certificates_due_idx", "certificates", ["enrolment"], postgresql_where=sa.text("due"))
    op.add_column("cohorts", sa.Column("about", JSONB, nullable=False, server_default="{}"))
    op.alter_column("cohorts", "about", server_default=None)
    # What enrolment has told is heard once more, and all of it of cohorts is news.
    op.execute("UPDATE cohorts SET epoch = 0, revision = 0")
    op.execute("UPDATE heard SET position = 0 WHERE stream = 'ENROLMENT'")
    op.create_table(
        "issuer_keys",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("public", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("made", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired", sa.DateTime(timezone=True)),
        sa.Column("compromised", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "attestations",
        sa.Column(
            "certificate",
            sa.Text,
            sa.ForeignKey("certificates.certificate", name="attestations_certificate_fkey"),
            primary_key=True,
        ),
        sa.Column("public_id", sa.Text, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("list", sa.Integer, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("live", sa.Boolean, nullable=False),
        sa.Column("since", sa.Date),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued", sa.DateTime(timezone=True)),
        sa.Column("key", sa.Integer, sa.ForeignKey("issuer_keys.id", name="attestations_key_fkey")),
        sa.Column("digest", sa.LargeBinary),
        sa.Column("content", sa.LargeBinary),
        sa.Column("holder", sa.LargeBinary),
        sa.Column("named", sa.Boolean, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("signed", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("public_id", name="attestations_public_id_key"),
        sa.UniqueConstraint("list", "place", name="attestations_list_key"),
    )
    op.create_index("attestations_key_idx", "attestations", ["key"])
    op.create_table(
        "attestation_drafts",
        sa.Column(
            "certificate",
            sa.Text,
            sa.ForeignKey("attestations.certificate", name="attestation_drafts_certificate_fkey", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("key", sa.Integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("holder", sa.LargeBinary, nullable=False),
        sa.Column("named", sa.Boolean, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("signed", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed", sa.Boolean, nullable=False),
    )
    op.create_table(
        "status_lists",
        sa.Column("list", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("taken", sa.Integer, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("signed_version", sa.BigInteger),
        sa.Column("document", sa.Text),
        sa.Column("jwt", sa.Text),
        sa.Column("reasons", sa.Text),
        sa.Column("reasons_jwt", sa.Text),
        sa.Column("key", sa.Integer),
        sa.Column("signed", sa.DateTime(timezone=True)),
    )
