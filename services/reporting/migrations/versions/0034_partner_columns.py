"""A partner's figures also by the month in which the cohort was to end, as HTTP has them; a comment on every column."""

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_VIEW = """
    SELECT measure, programme, country, host_country, sending_centre, host_centre, cohort, trade, mode, scheme, occupation,
           level, sex, role, age_band, disability, outcome, months_after, month, start_month,
           CASE measure WHEN 'training_hours' THEN value / 100.0 ELSE value END AS value, end_month
    FROM cube
    WHERE upper(substring(current_user FROM '^sampan_partner_([a-z]{2})$')) IN (country, host_country)
          AND value <> 0 AND measure <> 'people'
"""
_NOTE = "_Z where it does not apply, _U where it is not known."
_COLUMNS = {
    "programme": "The programme.",
    "country": "The sending country, ISO 3166-1 alpha-2.",
    "host_country": "The country that hosts the cohort, ISO 3166-1 alpha-2.",
    "sending_centre": f"The centre that sent the trainee. {_NOTE}",
    "host_centre": "The centre that hosts the cohort.",
    "cohort": "The cohort.",
    "trade": f"The trade of the trainee. {_NOTE}",
    "mode": "How the cohort is taught: in-person, online or blended.",
    "scheme": f"The certification scheme. {_NOTE}",
    "occupation": f"The occupation, by the code of the scheme. {_NOTE}",
    "level": f"The level of the scheme, by name. {_NOTE}",
    "sex": "F, M, or U when not known; for learners_reached that of the learners. _Z where it does not apply.",
    "role": "student, teacher, worker, official or coach. _Z where it does not apply.",
    "age_band": f"Age in completed years on the first day of the cohort. {_NOTE}",
    "disability": "yes, no or not-stated. _Z where it does not apply.",
    "outcome": "What the trainee does some months after completion. _Z where it does not apply.",
    "months_after": "How many months after completion an outcome was reported for. _Z where it does not apply.",
    "start_month": "The month in which the cohort was to start, YYYY-MM.",
    "end_month": "The month in which the cohort was to end, YYYY-MM.",
}


def upgrade() -> None:
    op.execute(f"CREATE OR REPLACE VIEW partner_figures WITH (security_barrier) AS {_VIEW}")
    for column, meaning in _COLUMNS.items():
        op.execute(f"COMMENT ON COLUMN partner_figures.{column} IS '{meaning}'")
