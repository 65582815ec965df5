"""Documents have another form: a list of one proof, and a JWT's own claims. What is public is signed anew."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE certificates SET due = true WHERE certificate IN (SELECT certificate FROM attestations)")


def downgrade() -> None:
    return
