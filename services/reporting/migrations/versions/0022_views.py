"""Views for those who read with SQL: the released tables, a partner's own figures, and what all partners see.

Who may read them are two roles that the superuser makes (``services/embedded.py``; for older databases: docs/sql.md).
"""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

PUBLIC, PARTNER = "sampan_public", "sampan_partner"

_VIEWS = {
    "public_figures": (
        "Every figure of every released version of the public tables; empty while public figures are off. "
        "A value that is hidden is null: it is not 0.",
        {
            "version": "The version of the tables, from 1.",
            "released": "The day on which it was released.",
            "newest": "Whether no later version was released.",
            "table_name": "programmes, countries, sexes, roles, trades or starts.",
            "programme": "The programme.",
            "row_value": "The value of the table's dimension; null in the table of programmes.",
            "measure": "A count, or a percentage whose name ends in _rate.",
            "value": "The figure; null where it is hidden.",
        },
        (PUBLIC, PARTNER),
        """
        SELECT release.version, release.released, release.version = max(release.version) OVER () AS newest,
               released_table.key AS table_name, line ->> 'programme' AS programme,
               coalesce(line ->> 'country', line ->> 'sex', line ->> 'role', line ->> 'trade', line ->> 'start_month')
                   AS row_value,
               figure.key AS measure,
               CASE jsonb_typeof(figure.value) WHEN 'number' THEN (figure.value)::numeric END AS value
        FROM releases AS release
             CROSS JOIN LATERAL jsonb_each(release.tables) AS released_table
             CROSS JOIN LATERAL jsonb_array_elements(released_table.value) AS line
             CROSS JOIN LATERAL jsonb_each(line) AS figure
        WHERE EXISTS (SELECT FROM publication WHERE "on")
              AND figure.key NOT IN ('programme', 'country', 'sex', 'role', 'trade', 'start_month')
        """,
    ),
    "partner_figures": (
        "Every count of the reader's own country, in all dimensions: of trainees that it sent and of cohorts that it hosts. "
        "The country is that in the name of the reader's role, sampan_partner_<country>.",
        {
            "measure": "What is counted: see docs/reports.md.",
            "month": "The month in which it happened, YYYY-MM.",
            "value": "The count; training_hours in hours.",
        },
        (PARTNER,),
        """
        SELECT measure, programme, country, host_country, sending_centre, host_centre, cohort, trade, mode, scheme, occupation,
               level, sex, role, age_band, disability, outcome, months_after, month, start_month,
               CASE measure WHEN 'training_hours' THEN value / 100.0 ELSE value END AS value
        FROM cube
        WHERE upper(substring(current_user FROM '^sampan_partner_([a-z]{2})$')) IN (country, host_country)
              AND value <> 0 AND measure <> 'people'
        """,
    ),
    "common_figures": (
        "What all partners see: the totals of each programme, by sending country and month.",
        {
            "measure": "What is counted: see docs/reports.md.",
            "programme": "The programme.",
            "country": "The sending country, ISO 3166-1 alpha-2.",
            "month": "The month in which it happened, YYYY-MM.",
            "value": "The count; training_hours in hours.",
        },
        (PARTNER,),
        """
        SELECT measure, programme, country, month,
               sum(CASE measure WHEN 'training_hours' THEN value / 100.0 ELSE value END) AS value
        FROM cube
        WHERE measure <> 'people'
        GROUP BY measure, programme, country, month
        HAVING sum(value) <> 0
        """,
    ),
}


def upgrade() -> None:
    for name, (said, columns, readers, statement) in _VIEWS.items():
        # A barrier: no function of the reader's own sees a row before the view has let it through.
        op.execute(f"CREATE VIEW {name} WITH (security_barrier) AS {statement}")
        op.execute(f"COMMENT ON VIEW {name} IS '{said.replace(chr(39), chr(39) * 2)}'")
        for column, meaning in columns.items():
            op.execute(f"COMMENT ON COLUMN {name}.{column} IS '{meaning.replace(chr(39), chr(39) * 2)}'")
        for reader in readers:
            op.execute(
                f"""
                DO $$ BEGIN
                    IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{reader}') THEN
                        GRANT USAGE ON SCHEMA reporting TO {reader};
                        GRANT SELECT ON {name} TO {reader};
                    END IF;
                END $$
                """
            )
