"""What has moved in the cube: for those who follow it as it happens, and as a list of the last changes with their causes."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.reporting.domain import MEASURES, TOTAL
from services.reporting.queries import Number
from services.reporting.questions import Question
from shared.events.figures import FiguresMoved

CHANNEL: Final = "sampan_reporting_cube"
"""On which PostgreSQL tells everybody who listens that the cube has changed: a trigger on its version does."""
PLACES: Final = ("programme", "country")
"""Not the cohort: everybody is told the same, and what moved in one cohort is detail (``partners``)."""
PLACES_NAMED: Final = 20
"""More programmes or countries than these are not named one by one."""
COHORTS_LOOKED_AT: Final = 50
"""For causes: what moves in more cohorts at a time is a rebuild, or a month's post."""
STEPS_LOOKED_AT: Final = 500
"""How far back the list of changes looks for those of some place."""


ONCE: Final = "(measure <> 'people' OR '_T' = ALL (ARRAY[programme, country, sex, cohort]))"
"""People are kept counted in several ways: of them only the whole."""


class Move(FiguresMoved):
    """All that moved from after one step of the cube up to another; a step is one transaction that changed it."""

    @cached_property
    def event(self) -> bytes:
        """As a Server-Sent Event, written once for all who read it."""
        return f"id: {self.step}\nevent: change\ndata: {self.model_dump_json()}\n\n".encode()


async def newest(connection: AsyncConnection) -> int:
    """The newest step; 0 when there is none."""
    return int((await connection.execute(text("SELECT max(step) FROM cube_steps"))).scalar_one() or 0)


async def since(connection: AsyncConnection, step: int) -> Move | None:
    """Everything after a step as one move; None when nothing has moved since."""
    last = await _last(connection, step)
    if last is None:
        return None
    rows = await connection.execute(
        text(
            f"""
            SELECT measure, programme, country, sum(delta) AS delta
            FROM cube_changes JOIN cube USING (key) WHERE step > :step AND step <= :last AND {ONCE}
            GROUP BY measure, programme, country
            """  # noqa: S608 - our own words
        ),
        {"step": step, "last": last.step},
    )
    figures: Counter[str] = Counter()
    places: dict[str, set[str]] = {name: set() for name in PLACES}
    for row in rows:
        figures[row.measure] += int(row.delta)
        for name in PLACES:
            places[name].update({getattr(row, name)} - {TOTAL})
    return _move(
        last,
        step,
        _in_order(figures),
        {name: sorted(found) for name, found in places.items() if len(found) <= PLACES_NAMED},
    )


async def nothing(connection: AsyncConnection) -> Move | None:
    """A move of nothing, from the newest step to itself; None when there is no step."""
    last = await _last(connection, 0)
    return None if last is None else _move(last, last.step, {}, {})


async def _last(connection: AsyncConnection, step: int) -> Row[Any] | None:
    """The newest step, if it is after another."""
    statement = text("SELECT * FROM cube_steps WHERE step > :step ORDER BY step DESC LIMIT 1")
    return (await connection.execute(statement, {"step": step})).one_or_none()


def _move(last: Row[Any], since: int, figures: dict[str, Number], places: dict[str, list[str]]) -> Move:
    return Move(
        step=last.step,
        since=since,
        position={"ENROLMENT": last.enrolment, "CERTIFICATION": last.certification},
        time=last.time,
        figures=figures,
        places=places,
    )


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the cube, for people: which figures it moved, in which cohorts, and whose entries were behind it."""

    step: int
    time: datetime
    position: Mapping[str, int]
    figures: Mapping[str, Number]
    cohorts: Sequence[str]
    causes: Sequence[tuple[str, int]]
    """(office, entries), most first."""
    why: str | None

    @property
    def as_of(self) -> str:
        """How to ask for the figures as they were then."""
        return f"{self.position['ENROLMENT']}.{self.position['CERTIFICATION']}"


async def recent(session: AsyncSession, question: Question, *, limit: int, before: int | None = None) -> list[Change]:
    """The last changes of what a question is about, newest first; those ``before`` a step.

    They name cohorts, so whoever sees detail of their own country alone is told of that.
    """
    if not question.where and question.own is None:
        return await _recent(session, question, limit, before, limit)
    few = await _recent(session, question, limit, before, 4 * limit)
    return few if len(few) == limit else await _recent(session, question, limit, before, STEPS_LOOKED_AT)


async def _recent(
    session: AsyncSession, question: Question, limit: int, before: int | None, looked_at: int
) -> list[Change]:
    """The same among so many steps."""
    conditions = [ONCE, *(f"cube.{name} = ANY(:{name})" for name, _ in question.where)]  # names are the domain's
    parameters: dict[str, Any] = dict(_lists(question))
    if question.own is not None:
        conditions.append(":own IN (cube.country, cube.host_country)")
        parameters["own"] = question.own
    rows = list(
        await session.execute(
            text(
                f"""
                WITH steps AS (
                    SELECT * FROM cube_steps
                    WHERE step < coalesce(CAST(:before AS bigint), step + 1) ORDER BY step DESC LIMIT :steps
                )
                SELECT step, time, enrolment, certification, why, measure, cohort, delta
                FROM steps JOIN (
                    SELECT step, measure, cohort, sum(delta) AS delta
                    FROM steps JOIN cube_changes USING (step) JOIN cube USING (key)
                    WHERE {" AND ".join(conditions)} GROUP BY step, measure, cohort
                ) AS moved USING (step) ORDER BY step DESC
                """  # noqa: S608 - the names of the domain's dimensions
            ),
            {"before": before, "steps": looked_at, **parameters},
        )
    )
    by_step = defaultdict(list)
    for row in rows:
        by_step[row.step].append(row)
    shown = dict(list(by_step.items())[:limit])
    cohorts = {row.cohort for lines in shown.values() for row in lines} - {TOTAL}
    causes = await _causes(session, cohorts, shown)
    changes = []
    for step, lines in shown.items():
        figures: Counter[str] = Counter()
        for row in lines:
            figures[row.measure] += int(row.delta)
        first = lines[0]
        changes.append(
            Change(
                step=step,
                time=first.time,
                position={"ENROLMENT": first.enrolment, "CERTIFICATION": first.certification},
                figures=_in_order(figures),
                cohorts=sorted({row.cohort for row in lines} - {TOTAL}),
                causes=causes.get(step, ()),
                why=first.why,
            )
        )
    return changes


def _lists(question: Question) -> list[tuple[str, list[str]]]:
    return [(name, list(values)) for name, values in question.where]


def _in_order(figures: Mapping[str, int]) -> dict[str, Number]:
    """By the measures' own order, in whole ones."""
    return {
        name: figures[name] if measure.parts == 1 else figures[name] / measure.parts
        for name, measure in MEASURES.items()
        if name in figures
    }


_CAUSES: Final = """
    WITH of_cohorts AS (
        SELECT enrolment FROM enrolments WHERE cohort = ANY(:cohorts)
    ), facts AS (
        SELECT step, cause FROM cohorts WHERE cohort = ANY(:cohorts)
        UNION ALL SELECT step, cause FROM past_facts WHERE kind = 'cohort' AND key = ANY(:cohorts)
        UNION ALL SELECT step, cause FROM enrolments WHERE cohort = ANY(:cohorts)
        UNION ALL SELECT step, cause FROM past_facts JOIN of_cohorts ON kind = 'trainee' AND key = enrolment
        UNION ALL SELECT step, cause FROM certificates JOIN of_cohorts USING (enrolment)
        UNION ALL SELECT past_facts.step, past_facts.cause
            FROM certificates JOIN of_cohorts USING (enrolment) JOIN past_facts ON kind = 'certificate' AND key = certificate
    )
    SELECT step, split_part(cause, '/', 3) || '/' || split_part(cause, '/', 4) AS office, count(DISTINCT cause) AS entries
    FROM facts WHERE step = ANY(:steps) AND cause LIKE '/offices/%' GROUP BY 1, 2 ORDER BY 3 DESC, 2
"""


async def _causes(
    session: AsyncSession, cohorts: Iterable[str], steps: Iterable[int]
) -> Mapping[int, Sequence[tuple[str, int]]]:
    """By step, the offices whose entries are behind its facts in these cohorts, and how many entries each."""
    asked = {"cohorts": sorted(cohorts)[:COHORTS_LOOKED_AT], "steps": list(steps)}
    rows = await session.execute(text(_CAUSES), asked)
    found: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for row in rows:
        found[row.step].append((row.office, row.entries))
    return found
