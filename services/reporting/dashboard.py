"""What the dashboard shows: headline figures, the same by place, trade and scheme, by month, and cohorts with their progress."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.reporting import moves, queries
from services.reporting.domain import NOT_APPLICABLE
from services.reporting.ledger import last_step
from services.reporting.moves import Change
from services.reporting.queries import Aggregates, Number
from services.reporting.questions import Question, UnknownQuestion, check_rates
from services.reporting.rates import RATES
from services.reporting.tables import Cohort

COUNTS: Final = ("enrolled", "people", "nominated", "training_hours", "learners_reached")
"""Headline figures that are counts; each is the programme's in one number."""
MONTHS_SHOWN: Final = 12
ROWS_SHOWN: Final = 8
"""Of each table, the largest first; the whole table is a page of its own."""
COHORTS_SHOWN: Final = 8
CHANGES_SHOWN: Final = 6
OUTCOME_MONTHS: Final = ("1", "6")
PARTS: Final = ("programme", "country", "end_month", "cohort")
"""By the first of these that was not chosen yet, a figure is shown that is too large to be explained at once."""
SERIES: Final = ("enrolled", "completed", "certified")
"""What the pictures show, in the order of their colours."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A rate with its numerator and its denominator."""

    name: str
    part: Number
    whole: Number


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of trainees so many months after completion, as (what they do, how many)."""

    months: str
    lines: Sequence[tuple[str, Number]]


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a table: its place in the table's dimensions, and its counts by measure; women are among the enrolled."""

    place: Mapping[str, str]
    counts: Mapping[str, Number]
    women: Number


@dataclass(frozen=True, slots=True)
class Table:
    """Counts by one dimension or two, the largest first; ``lines_in_all`` may be more than are shown."""

    by: Sequence[str]
    measures: Sequence[str]
    lines: Sequence[Line]
    lines_in_all: int
    most: Number


@dataclass(frozen=True, slots=True)
class Progress:
    """A cohort on its way: what it is, and how many have come how far."""

    cohort: str
    titles: Mapping[str, str]
    status: str
    programme: str
    host_centre: str
    starts_on: date
    ends_on: date
    counts: Mapping[str, Number]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """All of the first page, true at one position."""

    position: Mapping[str, int]
    recorded: datetime | None
    """When the newest fact in it was recorded."""
    counts: Mapping[str, Number]
    rates: Sequence[Ratio]
    no_rates: bool
    """Whether there can be none of what was asked."""
    outcomes: Sequence[Outcome]
    tables: Sequence[Table]
    months: Table
    years: Sequence[str]
    cohorts: Sequence[Progress]
    more_cohorts: bool
    changes: Sequence[Change]


async def gather(session: AsyncSession, question: Question, position: dict[str, int]) -> Dashboard:
    """Everything that the first page shows of what ``question`` narrows it to, from a session that sees one snapshot."""
    possible = _rates_of(question)
    # The one question that looks whether there is what the others are narrowed to as well.
    answer = await queries.aggregates(session, replace(question, measures=(*COUNTS, *possible), by=()), position)
    rates = [
        Ratio(name, answer.totals[f"{name}_numerator"], answer.totals[f"{name}_denominator"])
        for name in possible
        if answer.totals[f"{name}_denominator"]
    ]
    tables = [
        await _table(session, question, position, by, ("enrolled", "completed", "certified"))
        for by in (("country",), ("trade",), ("sending_centre",), ("host_centre",))
    ]
    tables.append(await _table(session, question, position, ("scheme", "level"), ("assessed", "passed", "certified")))
    months = await _ask(session, question, position, SERIES, ("month",))
    found = await cohorts(session, question, position, limit=COHORTS_SHOWN + 1)
    return Dashboard(
        position=answer.position,
        recorded=answer.as_of.recorded if answer.as_of else (await last_step(session)).time,
        counts={name: answer.totals[name] for name in COUNTS},
        rates=rates,
        no_rates=not possible,
        outcomes=await _outcomes(session, question, position),
        tables=[table for table in tables if table.lines],
        months=_by_month(months),
        years=sorted({str(row["month"])[:4] for row in months.rows}),
        cohorts=found[:COHORTS_SHOWN],
        more_cohorts=len(found) > COHORTS_SHOWN,
        changes=await moves.recent(session, question, limit=CHANGES_SHOWN),
    )


def _rates_of(question: Question) -> tuple[str, ...]:
    """Those that can be of what was asked: none of a part of what they count, as in ``questions``."""
    try:
        check_rates(replace(question, measures=tuple(RATES), by=()))
    except UnknownQuestion:
        return ()
    return tuple(RATES)


async def cohorts(
    session: AsyncSession, question: Question, position: dict[str, int], *, limit: int, before: str = ""
) -> list[Progress]:
    """Cohorts with their progress, those that start last first; ``before`` is the ``cursor`` of the page before its last one."""
    data = col(Cohort.data)
    starts = data["starts_on"].astext
    statement = (
        select(data)
        .where(data["status"].astext != "void", *_of_cohorts(question))
        .order_by(starts.desc(), col(Cohort.cohort).desc())
        .limit(limit)
    )
    if before:
        day, _, code = before.partition(" ")
        statement = statement.where((starts < day) | ((starts == day) & (col(Cohort.cohort) < code)))
    found = list(await session.scalars(statement))
    codes = tuple(one["cohort"] for one in found)
    if not codes:
        return []
    where = (*(pair for pair in question.where if pair[0] != "cohort"), ("cohort", codes))
    of_these = replace(question, where=where)
    measures = ("places", "enrolled", "started", "completed", "certified")
    answer = await _ask(session, of_these, position, measures, ("cohort",))
    counts = {str(row["cohort"]): {name: _number(row[name]) for name in measures} for row in answer.rows}
    return [
        Progress(
            cohort=one["cohort"],
            titles=one["titles"],
            status=one["status"],
            programme=one["programme"],
            host_centre=one["host_centre"],
            starts_on=date.fromisoformat(one["starts_on"]),
            ends_on=date.fromisoformat(one["ends_on"]),
            counts=counts.get(one["cohort"], dict.fromkeys(measures, 0)),
        )
        for one in found
    ]


async def parts(session: AsyncSession, question: Question, position: dict[str, int]) -> queries.Aggregates:
    """The figures of which one is made that is too large to be explained at once."""
    chosen = {name for name, _ in question.where}
    by = next((name for name in PARTS if name not in chosen), "cohort")
    return await _ask(session, question, position, question.measures, (by,))


def cursor(cohort: Progress) -> str:
    """Where a list of cohorts goes on after this one."""
    return f"{cohort.starts_on.isoformat()} {cohort.cohort}"


async def _ask(
    session: AsyncSession, question: Question, position: dict[str, int], measures: tuple[str, ...], by: tuple[str, ...]
) -> Aggregates:
    return await queries.counted(session, replace(question, measures=measures, by=by), position)


async def _table(
    session: AsyncSession, question: Question, position: dict[str, int], by: tuple[str, ...], measures: tuple[str, ...]
) -> Table:
    answer = await _ask(session, question, position, measures, (*by, "sex"))
    counts: dict[tuple[str, ...], dict[str, Number]] = {}
    women: dict[tuple[str, ...], Number] = {}
    for row in answer.rows:
        place = tuple(str(row[name]) for name in by)
        if NOT_APPLICABLE in place:
            continue
        line = counts.setdefault(place, dict.fromkeys(measures, 0))
        for name in measures:
            line[name] += _number(row[name])
        if row["sex"] == "F":
            women[place] = women.get(place, 0) + _number(row[measures[0]])
    largest = sorted(counts, key=lambda place: (-counts[place][measures[0]], place))
    lines = [
        Line(dict(zip(by, place, strict=True)), counts[place], women.get(place, 0)) for place in largest[:ROWS_SHOWN]
    ]
    most = max((line.counts[measures[0]] for line in lines), default=0)
    return Table(by, measures, lines, len(counts), most)


def _by_month(answer: Aggregates) -> Table:
    """The last months up to the last in which something was counted, also those between in which nothing was."""
    counts = {
        str(row["month"]): {name: _number(row[name]) for name in SERIES}
        for row in answer.rows
        if any(row[name] for name in SERIES)
    }
    shown = _months_up_to(max(counts), min(counts)) if counts else []
    lines = [Line({"month": month}, counts.get(month, dict.fromkeys(SERIES, 0)), 0) for month in shown]
    most = max((value for line in lines for value in line.counts.values()), default=0)
    return Table(("month",), SERIES, lines, max(len(counts), len(lines)), most)


def _months_up_to(last: str, first: str) -> list[str]:
    at = int(last[:4]) * 12 + int(last[5:]) - 1
    months = [f"{number // 12}-{number % 12 + 1:02}" for number in range(at - MONTHS_SHOWN + 1, at + 1)]
    return [month for month in months if month >= first]


async def _outcomes(session: AsyncSession, question: Question, position: dict[str, int]) -> list[Outcome]:
    answer = await _ask(session, question, position, ("outcomes",), ("months_after", "outcome"))
    found = []
    for months in OUTCOME_MONTHS:
        lines = [
            (str(row["outcome"]), _number(row["outcomes"])) for row in answer.rows if str(row["months_after"]) == months
        ]
        if lines:
            found.append(Outcome(months, sorted(lines, key=lambda line: -line[1])))
    return found


_IN_A_COHORT: Final = frozenset({"programme", "host_country", "host_centre", "mode", "cohort"})


def _of_cohorts(question: Question) -> list[ColumnElement[bool]]:
    """Which cohorts a question is about, as far as a cohort itself says so; of the others it says what is counted in them."""
    data = col(Cohort.data)
    conditions: list[ColumnElement[bool]] = []
    if own := question.own:
        sends = data["places"].contains([{"country": own}])
        conditions.append(or_(data["host_country"].astext == own, sends))
    for name, values in question.where:
        if name in _IN_A_COHORT:
            conditions.append(data[name].astext.in_(values))
        elif name == "start_month":
            conditions.append(func.left(data["starts_on"].astext, 7).in_(values))
        elif name == "country":
            conditions.append(or_(*(data["places"].contains([{"country": value}]) for value in values)))
        elif name == "trade":
            conditions.append(or_(*(data["trades"].contains([value]) for value in values)))
    return conditions


def _number(value: str | Number) -> Number:
    assert not isinstance(value, str)
    return value
