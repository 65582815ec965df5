"""How often the cube has changed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cube_version",
        sa.Column("id", sa.SmallInteger, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
