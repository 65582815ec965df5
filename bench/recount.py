"""Every figure counted once more, by DuckDB, from nothing but the events that offices posted.

It knows what docs/reports.md says of each measure and dimension, and none of the program's code. It reads events that were all
accepted: what was voided or replaced is left out, and nothing is decided.
"""

from collections import Counter
from pathlib import Path

import duckdb

_EVENTS = """
CREATE TEMP TABLE said AS
SELECT type, source, id, time::timestamptz AS moment, replaces, data
FROM read_json($file, format = 'newline_delimited', columns = {
    type: 'VARCHAR', source: 'VARCHAR', id: 'VARCHAR', time: 'VARCHAR', replaces: 'VARCHAR', data: 'JSON'
});

CREATE TEMP TABLE event AS
SELECT replace(type, '.v1', '') AS type, moment, data, data->>'cohort' AS cohort, data->>'number' AS number
FROM said
WHERE (source, id) NOT IN (
    SELECT (source, data->>'event') FROM said WHERE type = 'event.voided.v1'
    UNION ALL SELECT (source, replaces) FROM said WHERE replaces IS NOT NULL
);

CREATE TEMP TABLE course AS
SELECT announced.cohort, announced.data->>'programme' AS programme, announced.data->>'host_country' AS host_country,
       announced.data->>'host_centre' AS host_centre, announced.data->>'mode' AS mode, announced.data->>'timezone' AS zone,
       (announced.data->>'starts_on')::date AS starts_on, (announced.data->>'ends_on')::date AS ends_on,
       announced.data->'places' AS places, announced.moment,
       (started.data->>'date')::date AS started_on,
       coalesce((started.data->'not_arrived')::varchar[], []) AS not_arrived
FROM event AS announced LEFT JOIN event AS started ON started.type = 'cohort.started' AND started.cohort = announced.cohort
WHERE announced.type = 'cohort.announced';

CREATE TEMP TABLE happened AS
SELECT event.*, coalesce((event.data->>'date')::date, timezone(course.zone, event.moment)::date) AS day
FROM event JOIN course USING (cohort);

CREATE TEMP TABLE trainee AS
WITH place AS (
    SELECT cohort, number,
           max(day) FILTER (WHERE type = 'trainee.proposed') AS proposed_on,
           max(day) FILTER (WHERE type = 'trainee.declined') AS declined_on,
           max(day) FILTER (WHERE type = 'trainee.enrolled') AS enrolled_on,
           max(day) FILTER (WHERE type = 'trainee.withdrawn') AS withdrawn_on,
           max(day) FILTER (WHERE type = 'trainee.completed') AS completed_on,
           max(data->>'role') FILTER (WHERE type IN ('trainee.proposed', 'trainee.enrolled')) AS role,
           max(data->>'country') FILTER (WHERE type IN ('trainee.proposed', 'trainee.enrolled')) AS country,
           max(data->>'sending_centre') FILTER (WHERE type IN ('trainee.proposed', 'trainee.enrolled')) AS sending_centre,
           max(data->>'trade') FILTER (WHERE type IN ('trainee.proposed', 'trainee.enrolled')) AS trade,
           max(data->>'$.person.sex') AS sex, max(data->>'$.person.disability') AS disability,
           max(data->>'$.person.birth_date')::date AS born,
           max(concat_ws(' ', data->>'$.person.identifiers[0].kind', data->>'$.person.identifiers[0].country',
                         data->>'$.person.identifiers[0].number')) FILTER (WHERE type = 'trainee.enrolled') AS person
    FROM happened WHERE type LIKE 'trainee.%' AND type <> 'trainee.assessed' GROUP BY cohort, number
)
SELECT place.* EXCLUDE (sex, disability, sending_centre),
       coalesce(sex, 'U') AS sex, coalesce(disability, 'not-stated') AS disability,
       coalesce(sending_centre, '_U') AS sending_centre, programme, host_country, host_centre, mode,
       strftime(starts_on, '%Y-%m') AS start_month, strftime(ends_on, '%Y-%m') AS end_month,
       CASE WHEN born IS NULL THEN '_U' ELSE (SELECT band FROM (VALUES
            (0, 15, 'Y_LT15'), (15, 25, 'Y15T24'), (25, 35, 'Y25T34'), (35, 45, 'Y35T44'), (45, 55, 'Y45T54'),
            (55, 65, 'Y55T64'), (65, 200, 'Y_GE65')) AS bands (youngest, older, band)
            WHERE date_sub('year', born, starts_on) >= youngest AND date_sub('year', born, starts_on) < older) END AS age_band,
       CASE WHEN enrolled_on IS NOT NULL AND NOT list_contains(not_arrived, number)
                 AND coalesce(least(declined_on, withdrawn_on), started_on) >= started_on THEN started_on END AS started_on,
       coalesce(least(declined_on, withdrawn_on), DATE '9999-12-31') AS left_on
FROM place JOIN course USING (cohort);

CREATE TEMP TABLE scheme AS
SELECT data->>'scheme' AS scheme, data->>'rule' AS rule, (data->>'completion_required')::boolean AS needs_completion
FROM event WHERE type = 'scheme.registered';

CREATE TEMP TABLE award AS
WITH said_of AS (
    SELECT type, cohort, number, day, data->>'scheme' AS scheme, data->>'occupation' AS occupation, data->>'level' AS level,
           data->>'result' AS result
    FROM happened WHERE type IN ('trainee.assessed', 'certificate.awarded', 'certificate.revoked')
), held AS (
    SELECT cohort, number, scheme, occupation, level,
           min(day) FILTER (WHERE type = 'trainee.assessed' AND result <> 'absent') AS assessed,
           min(day) FILTER (WHERE type = 'trainee.assessed' AND result = 'pass') AS passed,
           min(day) FILTER (WHERE type = 'certificate.awarded') AS awarded,
           min(day) FILTER (WHERE type = 'certificate.revoked') AS revoked
    FROM said_of GROUP BY ALL
)
SELECT held.* EXCLUDE (awarded),
       coalesce(awarded, CASE WHEN rule = 'on_pass' AND passed IS NOT NULL AND (completed_on IS NOT NULL OR NOT needs_completion)
                              THEN greatest(passed, completed_on) END) AS certified
FROM held JOIN scheme USING (scheme) JOIN trainee USING (cohort, number);

CREATE TEMP TABLE lesson AS
SELECT cohort, day, data->>'trade' AS trade, (data->>'hours')::decimal(10, 2) AS hours,
       (data->'group')::varchar[] AS grouped, coalesce((data->'absent')::varchar[], []) AS absent,
       coalesce((data->'partial')::struct(number varchar, hours decimal(10, 2))[], []) AS part
FROM happened WHERE type = 'session.held';
"""

_OF_COHORT = ("programme", "host_country", "host_centre", "cohort", "mode", "start_month", "end_month")
_OF_TRAINEE = (*_OF_COHORT, "country", "sending_centre", "trade", "sex", "role", "age_band", "disability")


def _count(
    measure: str, source: str, value: str, day: str, columns: tuple[str, ...], dimensions: tuple[str, ...]
) -> str:
    """One measure's cells: what it has of the dimensions, and _Z for the others."""
    placed = [
        f"strftime({day}, '%Y-%m')" if name == "month" else name if name in columns else "'_Z'" for name in dimensions
    ]
    return f"SELECT '{measure}', {', '.join(placed)}, {value} FROM {source} WHERE {day} IS NOT NULL GROUP BY ALL"  # noqa: S608


_ASSESSED = """(
    SELECT DISTINCT ON (cohort, number, scheme, level) cohort, number, scheme, level, occupation FROM award
    WHERE assessed IS NOT NULL ORDER BY cohort, number, scheme, level, assessed, occupation
)"""
_PEOPLE = """
    SELECT coalesce(programme, '_T') AS programme, coalesce(country, '_T') AS country, coalesce(sex, '_T') AS sex,
           coalesce(cohort, '_T') AS cohort, count(DISTINCT person)
    FROM trainee WHERE enrolled_on IS NOT NULL
    GROUP BY GROUPING SETS (CUBE (programme, country, sex), (programme, cohort), (programme, cohort, country))
"""
"""People as they are kept counted: `_T` is everybody, whatever it is."""


def recount(file: Path, dimensions: tuple[str, ...]) -> Counter[tuple[str, ...]]:
    """The cells that are not 0, by measure and place in the dimensions; hours in hundredths.

    People are among them as they are kept: by programme, country and sex, and by cohort and country, with `_T` for everybody.
    """
    counts = [
        _count(name, "trainee", "count(*)", f"{name}_on", _OF_TRAINEE, dimensions)
        for name in ("proposed", "declined", "enrolled", "started", "withdrawn", "completed")
    ]
    unstarted = "(SELECT * FROM trainee WHERE started_on IS NULL)"
    counts.append(_count("completed_outside", unstarted, "count(*)", "completed_on", _OF_TRAINEE, dimensions))
    for name in ("assessed", "passed", "certified", "revoked"):
        first = (
            f"(SELECT DISTINCT ON (cohort, number, scheme, level) * FROM award WHERE {name} IS NOT NULL "  # noqa: S608
            f"ORDER BY cohort, number, scheme, level, {name}, occupation) JOIN trainee USING (cohort, number)"
        )
        of_award = (*_OF_TRAINEE, "scheme", "occupation", "level")
        counts.append(_count(name, first, "count(*)", name, of_award, dimensions))
        if name in ("passed", "certified"):
            outside = f"{first} ANTI JOIN {_ASSESSED} USING (cohort, number, scheme, level, occupation)"
            counts.append(_count(f"{name}_outside", outside, "count(*)", name, of_award, dimensions))
    for name, kind in (("nominated", "competitor.nominated"), ("placed", "competitor.placed")):
        first = (
            "(SELECT cohort, number, min(day) AS day FROM happened "  # noqa: S608
            f"WHERE type = '{kind}' GROUP BY cohort, number, data->>'competition', data->>'skill') "
            "JOIN trainee USING (cohort, number)"
        )
        counts.append(_count(name, first, "count(*)", "day", _OF_TRAINEE, dimensions))
    given = """(
        SELECT trainee.*, lesson.day, coalesce(list_filter(part, lambda one: one.number = trainee.number)[1].hours,
               CASE WHEN list_contains(absent, trainee.number) THEN 0 ELSE lesson.hours END) AS received
        FROM lesson JOIN trainee USING (cohort)
        WHERE started_on IS NOT NULL AND day <= left_on
              AND CASE WHEN grouped IS NULL THEN coalesce(lesson.trade = trainee.trade, true)
                       ELSE list_contains(grouped, trainee.number) END
    )"""
    counts.append(_count("training_hours", given, "(sum(received) * 100)::bigint", "day", _OF_TRAINEE, dimensions))
    outcomes = """(
        SELECT cohort, number, day, data->>'outcome' AS outcome, data->>'months_after' AS months_after, data
        FROM happened WHERE type = 'outcome.reported'
    ) AS report JOIN trainee USING (cohort, number)"""
    of_outcome = (*_OF_TRAINEE, "outcome", "months_after")
    counts.append(_count("outcomes", outcomes, "count(*)", "day", of_outcome, dimensions))
    answers = f"(SELECT * FROM {outcomes} WHERE completed_on IS NULL AND outcome <> 'no-answer')"  # noqa: S608
    counts.append(_count("answered_outside", answers, "count(*)", "day", of_outcome, dimensions))
    for sex, field in (("F", "women"), ("M", "men")):
        taught = f"(SELECT * REPLACE ('{sex}' AS sex) FROM {outcomes})"  # noqa: S608
        columns = tuple(name for name in of_outcome if name not in ("age_band", "disability"))
        value = f"sum(coalesce((data->>'$.learners.{field}')::int, 0))::bigint"
        counts.append(_count("learners_reached", taught, value, "day", columns, dimensions))
    offered = """(
        SELECT course.*, timezone(zone, moment)::date AS day, line->>'country' AS country, (line->>'places')::int AS number,
               strftime(starts_on, '%Y-%m') AS start_month, strftime(ends_on, '%Y-%m') AS end_month
        FROM course CROSS JOIN unnest(course.places::json[]) AS offered (line)
    )"""
    counts.append(_count("places", offered, "sum(number)::bigint", "day", (*_OF_COHORT, "country"), dimensions))

    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    database.execute(_EVENTS.replace("$file", f"'{file}'"))
    found: Counter[tuple[str, ...]] = Counter()
    for count in counts:
        for *place, value in database.execute(count).fetchall():
            found[tuple(place)] += value
    for programme, country, sex, cohort, number in database.execute(_PEOPLE).fetchall():
        place = {"programme": programme, "country": country, "sex": sex, "cohort": cohort}
        found["people", *(place.get(name, "_Z") for name in dimensions)] = number
    return Counter({place: value for place, value in found.items() if value})
