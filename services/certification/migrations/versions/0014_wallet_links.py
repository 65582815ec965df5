"""Links that a holder keeps, and certificates by the awarding body's number."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "wallet_links",
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column(
            "certificate",
            sa.Text,
            sa.ForeignKey("certificates.certificate", name="wallet_links_certificate_fkey"),
            nullable=False,
        ),
        sa.Column("madeby", sa.Text, nullable=False),
        sa.Column("made", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("wallet_links_certificate_idx", "wallet_links", ["certificate"])
    op.create_index("certificates_number_idx", "certificates", [sa.text("(data ->> 'number')")])
