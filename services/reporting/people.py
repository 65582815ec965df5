"""People, counted by what they are not kept counted by: distinct persons among the enrolments, as they are or were held."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting.domain import MEASURES, NOT_APPLICABLE, UNKNOWN

_OF_THE_COHORT = ("programme", "host_country", "host_centre", "mode")
_EXPRESSIONS: Mapping[str, str] = {
    **{
        name: f"trainee.data->>'{name}'"
        for name in ("country", "trade", "sex", "role", "age_band", "disability", "cohort")
    },
    **{name: f"course.data->>'{name}'" for name in _OF_THE_COHORT},
    "sending_centre": f"coalesce(trainee.data->>'sending_centre', '{UNKNOWN}')",
    "month": "left(trainee.data->>'enrolled_on', 7)",
    "start_month": "left(course.data->>'starts_on', 7)",
    "end_month": "left(course.data->>'ends_on', 7)",
}
assert set(MEASURES["people"].dimensions) == _EXPRESSIONS.keys()

_NOW = "{table} AS {name}"
_THEN = """(
    SELECT DISTINCT ON (key) data, data->>'cohort' AS cohort FROM (
        SELECT {key} AS key, epoch, revision, step, data FROM {table}
        UNION ALL SELECT key, epoch, revision, step, data FROM past_facts WHERE kind = '{kind}'
    ) AS held WHERE step <= :step ORDER BY key, epoch DESC, revision DESC
) AS {name}"""


async def distinct(
    session: AsyncSession,
    by: Sequence[str],
    where: Mapping[str, Sequence[str]],
    months: Mapping[str, tuple[str | None, str | None]],
    step: int | None,
    own: str | None = None,
) -> dict[tuple[str, ...], int]:
    """How many people were enrolled, for each combination of values of ``by``.

    ``months`` holds the first and the last for a dimension of months; ``step`` is the one as of
    which they are counted, None for now; ``own`` a country that must have sent the trainee or host the cohort.
    """
    source = _NOW if step is None else _THEN
    trainees = source.format(table="enrolments", name="trainee", key="enrolment", kind="trainee")
    courses = source.format(table="cohorts", name="course", key="cohort", kind="cohort")
    conditions = ["true"]
    parameters: dict[str, Any] = {} if step is None else {"step": step}
    if own is not None:
        conditions.append(f":own IN ({_expression('country')}, {_expression('host_country')})")
        parameters["own"] = own
    for place, (name, wanted) in enumerate(where.items()):
        conditions.append(f"{_expression(name)} = ANY(:where{place})")
        parameters[f"where{place}"] = list(wanted)
    for name, (first, last) in months.items():
        for comparison, month in ((">=", first), ("<=", last)):
            if month is not None:
                key = f"{name}{len(parameters)}"
                conditions.append(f"{_expression(name)} {comparison} :{key}")
                parameters[key] = month
    columns = [_expression(name) for name in by]
    statement = text(
        f"""
        SELECT {"".join(f"{column}, " for column in columns)} count(DISTINCT trainee.data->>'person')
        FROM {trainees} JOIN {courses} ON course.cohort = trainee.cohort
        WHERE trainee.data->>'enrolled_on' IS NOT NULL AND trainee.data->>'status' <> 'void'
          AND course.data->>'status' <> 'void' AND {" AND ".join(conditions)}
        {"GROUP BY " + ", ".join(str(place + 1) for place in range(len(columns))) if columns else ""}
        """  # noqa: S608 (fixed expressions, by the dimensions' own names)
    ).bindparams(*(bindparam(f"where{place}", type_=ARRAY(Text)) for place in range(len(where))))
    if step is None:
        return _numbers(await session.execute(statement, parameters))
    # Nothing is known beforehand of what was held once: taken for few, all cohorts would be gone through for each trainee.
    await session.execute(text("SET LOCAL enable_nestloop = off"))
    found = _numbers(await session.execute(statement, parameters))
    await session.execute(text("SET LOCAL enable_nestloop = on"))
    return found


def _numbers(rows: Iterable[Any]) -> dict[tuple[str, ...], int]:
    return {tuple(place): int(number) for *place, number in rows if number}


def _expression(name: str) -> str:
    return _EXPRESSIONS.get(name, f"'{NOT_APPLICABLE}'")
