"""Answers from the cube, each with the position up to which it is true."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from pydantic import BaseModel
from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    any_,
    func,
    inspect,
    literal,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from services.reporting import coarse, values
from services.reporting.domain import COUNTED, DIMENSIONS, NOT_APPLICABLE, TOTAL
from services.reporting.ledger import STREAMS, Step, step_at
from services.reporting.measures import PEOPLE_BY
from services.reporting.people import distinct
from services.reporting.questions import Question, UnknownQuestion
from services.reporting.rates import RATES, Basis
from services.reporting.tables import CoarseCell, CubeCell, CubeChange, TailCell
from shared.outbox import heard_positions

ROWS = 50_000
_CELLS = 200_000
"""An answer with more rows, or made of more cells, is refused: nobody reads it, and it takes memory from everybody."""

Number = int | float
Columns = ReadOnlyColumnCollection[str, Any]
Place = tuple[str, ...]
Line = tuple[dict[str, str], int]
Figures = dict[str, Number]


class AsOf(BaseModel):
    """What was asked for, the last change of the cube up to there, and when the newest fact up to it was recorded."""

    asked: str
    step: int
    recorded: datetime | None


class Aggregates(BaseModel):
    """An answer: one row per combination of the ``by`` dimensions' values, with every measure asked for.

    A rate stands with its two counts beside it (``completion_rate``, ``completion_rate_numerator``,
    ``completion_rate_denominator``), and is left out where there is nobody to be a share of. ``basis`` says of each measure what
    ``from`` and ``to`` mean for it. The total of the measures in ``distinct`` is counted anew: it is not the sum of the rows.
    ``position`` is how far both streams are in it; ``as_of`` is null unless an earlier state was asked for. ``only`` is the
    asking office's country where detail was asked for: rows and totals are of trainees whom it sent, and cohorts that it hosts.
    """

    measures: list[str]
    by: list[str]
    basis: dict[str, Basis] = {}
    distinct: list[str] = []
    rows: list[dict[str, str | Number]]
    totals: dict[str, Number]
    position: dict[str, int]
    as_of: AsOf | None = None
    only: str | None = None


_POSITIONS_AND_VERSION = text(
    """
    SELECT stream, position, number
    FROM (SELECT coalesce(max(number), 0) AS number FROM cube_version) AS version LEFT JOIN heard ON true
    """
)


async def positions(session: AsyncSession) -> dict[str, int]:
    """How far each stream is applied; 0 for one that was never heard."""
    heard = await heard_positions(session)
    return {stream: heard.get(stream, 0) for stream in STREAMS}


async def positions_and_version(session: AsyncSession) -> tuple[dict[str, int], int]:
    """The same, and how often the cube has changed."""
    rows = (await session.execute(_POSITIONS_AND_VERSION)).all()
    heard = {row.stream: row.position for row in rows}
    return {stream: heard.get(stream, 0) for stream in STREAMS}, rows[0].number


def tag(question: Question, position: dict[str, int], version: int, told: str = "") -> str:
    """An entity tag (RFC 9110, 8.8.3): the same question at the same position of the same cube has the same answer.

    ``told`` is how it is told, where that differs.
    """
    return f'"{hashlib.sha256(repr((question, sorted(position.items()), version, told)).encode()).hexdigest()[:32]}"'


async def aggregates(session: AsyncSession, question: Question, position: dict[str, int]) -> Aggregates:
    """The answer to a question, from a session that sees one snapshot in which ``position`` is that of now.

    Raises ``UnknownQuestion`` when it has more than ROWS rows, and for a filter by what there is not.
    """
    answer = await counted(session, question, position)
    # Where each filter is by one value and something was counted, there is such a value: most need no look.
    if not any(answer.totals.values()) or any(len(one) > 1 for _, one in question.where):
        await values.check(session, question)
    return answer


async def counted(session: AsyncSession, question: Question, position: dict[str, int]) -> Aggregates:
    """The same where it is known that there is what the filters are by."""
    step = None if question.as_of is None else await step_at(session, question.as_of)
    found: dict[Place, Figures] = {} if question.by else {(): {}}
    totals: Figures = {}
    for basis, measures in _by_basis(question).items():
        whole: Counter[str] = Counter()
        for place, lines in (await _cells(session, question, basis, measures, step)).items():
            sums = _sums(measures, lines)
            found.setdefault(place, {}).update(_figures(measures, sums))
            whole.update(sums)
        totals.update(_figures(measures, whole))
    if "people" in question.measures:
        people, totals["people"] = await _people(session, question, step)
        for place, number in people.items():
            found.setdefault(place, {})["people"] = number
    if len(found) > ROWS:
        raise _too_many()
    rows = [
        {**dict(zip(question.by, place, strict=True)), **_in_order(question, figures)}
        for place, figures in sorted(found.items(), key=lambda row: _order(question, row[0]))
    ]
    return Aggregates(
        measures=list(question.measures),
        by=list(question.by),
        basis={name: question.basis_of(name) for name in question.measures},
        distinct=[name for name in question.measures if name == "people"],
        rows=rows,
        totals=_in_order(question, totals),
        position=position if step is None else dict(step.position),
        as_of=None
        if step is None or question.as_of is None
        else AsOf(asked=question.as_of.text, step=step.number, recorded=step.time),
        only=question.limited_to,
    )


def _too_many() -> UnknownQuestion:
    return UnknownQuestion("too_many_rows", f"The answer has more than {ROWS} rows: ask by less, or for less.")


# --- cells


def _by_basis(question: Question) -> dict[Basis, list[str]]:
    """The measures that are read from the cube, by what from and to mean for them; together where they mean nothing."""
    found: dict[Basis, list[str]] = {}
    windowed = question.from_month or question.to_month
    for name in question.measures:
        if name != "people":
            found.setdefault(question.basis_of(name) if windowed else "event", []).append(name)
    return found


async def _cells(
    session: AsyncSession, question: Question, basis: Basis, measures: Sequence[str], step: Step | None
) -> dict[Place, list[Line]]:
    """Per place, the counts of which the measures are made; each with what a rate asks of it besides."""
    terms = [term for name in measures if name in RATES for term in RATES[name].terms]
    counts = {term.measure for term in terms} | {name for name in measures if name not in RATES}
    counts = {name for name in counts if _has_any(name, question)}
    if not counts:
        return {}
    more = sorted({name for term in terms if term.measure in counts for name in term.only})
    asked = {*question.by, *more, *(name for name, _ in question.where)}
    if question.limited_to:
        asked |= {"country", "host_country"}
    if question.from_month or question.to_month:
        asked.add("end_month" if basis == "cohort" else "month")
    cube = _cube(asked, step)
    only = conditions(question, sorted(counts), basis, cube)
    found: dict[Place, list[Line]] = {}
    summed = await session.execute(_summed([*question.by, "measure", *more], cube, only).limit(_CELLS + 1))
    for number, (*line, value) in enumerate(summed):
        if number == _CELLS:
            raise _too_many()
        place = tuple(line[: len(question.by)])
        cell = dict(zip(("measure", *more), line[len(question.by) :], strict=True))
        found.setdefault(place, []).append((cell, int(value)))
    return found


def _has_any(count: str, question: Question) -> bool:
    """Whether a count can have a cell with what is asked for: it has none by what does not apply to it."""
    applies = COUNTED[count].dimensions
    return all(name in applies or NOT_APPLICABLE in values for name, values in question.where)


def conditions(
    question: Question, counts: Sequence[str], basis: Basis, columns: Columns | None = None
) -> list[ColumnElement[bool]]:
    """Which cells of some counts a question is about; of the fine cube unless other ``columns`` are given."""
    of = columns or _fine()
    found = [_one_of(of["measure"], counts), *(_one_of(of[name], values) for name, values in question.where)]
    if own := question.limited_to:
        found.append(or_(of["country"] == own, of["host_country"] == own))
    months = "end_month" if basis == "cohort" else "month"
    if question.from_month:
        found.append(of[months] >= question.from_month)
    if question.to_month:
        found.append(of[months] <= question.to_month)
    return found


def _fine() -> Columns:
    columns: Columns = inspect(CubeCell).local_table.c
    return columns


def _cube(asked: Collection[str], step: Step | None) -> Columns:
    return cube_of(frozenset(asked), None if step is None else step.number)


@lru_cache(maxsize=256)  # to put one together took a third of the time of an answer
def cube_of(asked: frozenset[str], step: int | None) -> Columns:
    """The smallest cube that has the dimensions, as it is or as it was at a step: its columns, and ``value``."""
    names = ["measure", *sorted(asked)]
    grain = coarse.coarsest(asked)
    if grain is None and step is None:
        return _fine()
    fine, changes = _fine(), inspect(CubeChange).local_table
    since = (
        select(*(fine[name] for name in names), (-changes.c.delta).label("value"))
        .join_from(changes, fine["key"].table, changes.c.key == fine["key"])
        .where(changes.c.step > (step or 0))
    )
    if grain is None:
        parts = [select(*(fine[name] for name in names), fine["value"])]
    else:
        kept, tail = inspect(CoarseCell).local_table.c, inspect(TailCell).local_table.c
        parts = [
            select(*(kept[name] for name in names), kept["value"]).where(kept["grain"] == grain),
            select(*(tail[name] for name in names), tail["delta"].label("value")),
        ]
    columns: Columns = union_all(*parts, *([] if step is None else [since])).subquery("cells").c
    return columns


def _summed(by: Sequence[str], columns: Columns, only: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """A cube's values summed by dimensions; without what comes to nothing."""
    value = func.sum(columns["value"])
    places = [columns[name] for name in by]
    return select(*places, value).where(*only).group_by(*places).having(value != 0)


# --- people


async def _people(session: AsyncSession, question: Question, step: Step | None) -> tuple[dict[Place, int], int]:
    """Distinct people, for each place by itself, and in all."""
    if question.keeps_people:
        return await _kept_people(session, question, step)
    months = {
        "end_month" if question.basis_of("people") == "cohort" else "month": (question.from_month, question.to_month)
    }
    asked = dict(question.where), months, None if step is None else step.number, question.limited_to
    found = await distinct(session, question.by, *asked)
    total = found if not question.by else await distinct(session, (), *asked)
    return found, total.get((), 0)


async def _kept_people(session: AsyncSession, question: Question, step: Step | None) -> tuple[dict[Place, int], int]:
    """The same where they are kept counted: in all is one more place, which is no value's."""
    cube = _cube(DIMENSIONS, step)
    in_all = [literal(TOTAL).label(name) for name in question.by]
    value = func.sum(cube["value"]).label("value")
    places = _summed(question.by, cube, _of_people(question, question.by, cube))
    whole = select(*in_all, value).where(*_of_people(question, (), cube)).having(value != 0)
    rows: Iterable[Any] = await session.execute(union_all(*([places] if question.by else []), whole))
    found = {tuple(place): int(value) for *place, value in rows}
    total = found.get(tuple(TOTAL for _ in question.by), 0)
    return {place: number for place, number in found.items() if TOTAL not in place}, total


def _of_people(question: Question, by: Sequence[str], cube: Columns) -> list[ColumnElement[bool]]:
    where = dict(question.where)
    asked = {*by, *where} | ({"programme"} if "cohort" in {*by, *where} else set())
    found = [_one_of(cube["measure"], ["people"]), *(_one_of(cube[name], values) for name, values in where.items())]
    return found + [(cube[name] != TOTAL) if name in asked else (cube[name] == TOTAL) for name in PEOPLE_BY]


def _one_of(column: ColumnElement[Any], values: Iterable[str]) -> ColumnElement[bool]:
    return column == any_(literal(list(values), ARRAY(Text)))


def _sums(measures: Iterable[str], lines: Iterable[Line]) -> dict[str, int]:
    """Of one place: each count, and of each rate its two."""
    counted: dict[str, list[Line]] = {}
    for line in lines:
        counted.setdefault(line[0]["measure"], []).append(line)
    found: dict[str, int] = {}
    for name in measures:
        if rate := RATES.get(name):
            whose = {term.measure for term in rate.terms}
            numerator, denominator = rate.parts(line for count in whose for line in counted.get(count, ()))
            found |= {f"{name}_numerator": numerator, f"{name}_denominator": denominator}
        else:
            found[name] = sum(value for _, value in counted.get(name, ()))
    return found


def _figures(measures: Iterable[str], sums: Mapping[str, int]) -> Figures:
    """The measures, from the sums of one place or of all."""
    found: Figures = {}
    for name in measures:
        if name in RATES:
            numerator, denominator = sums.get(f"{name}_numerator", 0), sums.get(f"{name}_denominator", 0)
            if denominator:
                found[name] = numerator / denominator
            found |= {f"{name}_numerator": numerator, f"{name}_denominator": denominator}
        else:
            value, parts = sums.get(name, 0), COUNTED[name].parts
            found[name] = value if parts == 1 else value / parts
    return found


def _in_order(question: Question, figures: Figures) -> Figures:
    """All that was asked for, in the order in which it was."""
    found: Figures = {}
    for name in question.measures:
        if name not in RATES:
            found[name] = figures.get(name, 0)
            continue
        if name in figures:
            found[name] = figures[name]
        for part in (f"{name}_numerator", f"{name}_denominator"):
            found[part] = figures.get(part, 0)
    return found


def _order(question: Question, place: tuple[str, ...]) -> list[tuple[int, str]]:
    """By value, in the code points' order on every machine; months after completion as the numbers they are."""
    return [
        (int(value) if name == "months_after" and value.isdecimal() else -1, value)
        for name, value in zip(question.by, place, strict=True)
    ]
