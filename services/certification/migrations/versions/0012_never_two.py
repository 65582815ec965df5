"""Never two live certificates of one award for one person, never a number twice of one awarding body: held by the database.

Both are looked at when a transaction ends: events that come late swap who holds what within one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_AWARD = "(((data ->> 'person') || ' ' || scheme || ' ' || (data ->> 'occupation') || ' ' || (data ->> 'level')))"


def _day(name: str) -> str:
    """A date of the fact. ``make_date`` and not a cast, whose answer could depend on a setting."""
    parts = (f"substr(data ->> '{name}', {start}, {length})::int" for start, length in ((1, 4), (6, 2), (9, 2)))
    return f"make_date({', '.join(parts)})"


def upgrade() -> None:
    # Equality as overlap: GiST compares ranges of texts without an extension, which not every database may load.
    op.execute('CREATE TYPE award AS RANGE (subtype = text, collation = "C")')
    op.execute(
        f"""
        ALTER TABLE certificates ADD CONSTRAINT certificates_one_live_excl EXCLUDE USING gist (
            int8range(hashtextextended({_AWARD}, 0), hashtextextended({_AWARD}, 0), '[]') WITH &&,
            award({_AWARD}, {_AWARD}, '[]') WITH &&,
            daterange({_day("awarded_on")}, {_day("valid_until")}, '[]') WITH &&
        ) WHERE (status IN ('issued', 'suspended')) DEFERRABLE INITIALLY DEFERRED
        """
    )
    op.create_table(
        "certificate_numbers",
        sa.Column("office", sa.Text, primary_key=True),
        sa.Column("number", sa.Text, primary_key=True),
        sa.Column("enrolment", sa.Text, nullable=False),
        sa.Column("scheme", sa.Text, nullable=False),
        sa.Column("occupation", sa.Text, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
    )
    op.create_index("certificate_numbers_enrolment_idx", "certificate_numbers", ["enrolment"])
    # Before, a body could give a number once for each of its schemes. The first that was recorded keeps it.
    op.execute(
        """
        INSERT INTO certificate_numbers (office, number, enrolment, scheme, occupation, level)
        SELECT DISTINCT ON (schemes.data ->> 'office', certificates.data ->> 'number')
               schemes.data ->> 'office', certificates.data ->> 'number', certificates.enrolment, certificates.scheme,
               certificates.data ->> 'occupation', certificates.data ->> 'level'
        FROM certificates JOIN schemes USING (scheme) LEFT JOIN LATERAL (
            SELECT min(place) AS first FROM events WHERE (events.enrolment, events.scheme, events.number)
                = (certificates.enrolment, certificates.scheme, certificates.data ->> 'number')
        ) AS given ON true
        WHERE certificates.data ->> 'number' IS NOT NULL
        ORDER BY schemes.data ->> 'office', certificates.data ->> 'number', given.first
        """
    )
    op.drop_index("events_number_idx", "events")
    op.create_index("events_number_idx", "events", ["source", "number"])
