"""Digests of names that documents said before they were corrected. Documents have another form: what is public is signed anew."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("attestations", "attestation_drafts"):
        op.add_column(table, sa.Column("former", sa.LargeBinary, nullable=False, server_default=sa.text("''::bytea")))
    op.execute("UPDATE certificates SET due = true WHERE certificate IN (SELECT certificate FROM attestations)")


def downgrade() -> None:
    for table in ("attestations", "attestation_drafts"):
        op.drop_column(table, "former")
