"""Versions of the reports of periods, which nobody changes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "period_versions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("made", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("position", JSONB, nullable=False),
        sa.Column("rules", sa.Integer, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("figures", JSONB, nullable=False),
        sa.Column("restated", JSONB),
    )
    op.execute(
        """
        CREATE FUNCTION version_stays() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'a published version is never changed: make the next one';
        END $$
        """
    )
    op.execute("CREATE TRIGGER stays BEFORE UPDATE ON period_versions FOR EACH ROW EXECUTE FUNCTION version_stays()")
