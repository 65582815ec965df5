"""Questions to the cube: which measures, by what, of what, and the answer with the position up to which it is true."""

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, Text, any_, func, inspect, literal, or_, select, text, union_all
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlmodel import col

from services.reporting import coarse
from services.reporting.domain import DIMENSIONS, EXCEPTIONS, MEASURES, TOTAL
from services.reporting.ledger import HOW_TO_ASK, STREAMS, Asked, NotAMoment, Step, step_at
from services.reporting.measures import PEOPLE_BY
from services.reporting.partners import is_detail
from services.reporting.people import distinct
from services.reporting.rates import BASES, NOT_BY, RATES, Basis
from services.reporting.tables import CoarseCell, CubeCell, CubeChange, CubeVersion, TailCell
from shared.outbox import heard_positions

PARAMETERS = ("measure", "by", "from", "to", "basis", "as_of", *DIMENSIONS)
ROWS = 50_000
_CELLS = 200_000
"""An answer with more rows, or made of more cells, is refused: nobody reads it, and it takes memory from everybody."""

Number = int | float
Columns = ReadOnlyColumnCollection[str, Any]
Place = tuple[str, ...]
Line = tuple[dict[str, str], int]
Figures = dict[str, Number]

COUNTED = {**MEASURES, **EXCEPTIONS}
ASKED = (*COUNTED, *RATES)
"""What can be asked for by name: counts, what they leave out, and rates."""

_MONTHS = ("month", "start_month", "end_month")
_MONTH = re.compile(r"(19|20|21)\d{2}-(0[1-9]|1[0-2])", re.ASCII)
_VALUE = re.compile(r"[A-Za-z0-9_-]{1,63}")


class UnknownQuestion(Exception):
    """A question that names something there is not; the message says what there is."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


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


@dataclass(frozen=True, slots=True)
class Question:
    """Which measures, by which dimensions, of which values only, in which months (both included), as known when."""

    measures: tuple[str, ...] = tuple(MEASURES)
    by: tuple[str, ...] = ()
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()
    from_month: str | None = None
    to_month: str | None = None
    as_of: Asked | None = None
    basis: Basis | None = None
    """Without one, rates follow cohorts and counts follow events."""
    own: str | None = None
    """The country to which detail is limited, as one that sends or hosts; None for who sees all of it."""

    @property
    def limited_to(self) -> str | None:
        """The country to which this question is limited, because it asks for detail."""
        return self.own if is_detail([*self.by, *(name for name, _ in self.where)]) else None

    def basis_of(self, measure: str) -> Basis:
        """What ``from`` and ``to`` mean for a measure."""
        return self.basis or ("cohort" if measure in RATES else "event")


def read_question(parameters: Iterable[tuple[str, str]]) -> Question:
    """The question that an address's parameters ask; each may stand several times, or hold a list with commas.

    Raises ``UnknownQuestion``.
    """
    given: dict[str, list[str]] = {}
    for name, values in parameters:
        _known("parameter", [name], PARAMETERS)
        wanted = given.setdefault(name, [])
        wanted += [value for value in dict.fromkeys(values.split(",")) if value not in wanted]
    basis = _basis(given)
    question = Question(
        measures=_known("measure", given["measure"], ASKED) if "measure" in given else (),
        by=_known("dimension", given.get("by", []), DIMENSIONS),
        where=tuple((name, _values(name, given[name])) for name in DIMENSIONS if name in given),
        from_month=_month("from", given),
        to_month=_month("to", given),
        as_of=_asked("as_of", given),
        basis=basis,
    )
    if question.from_month and question.to_month and question.to_month < question.from_month:
        raise UnknownQuestion("invalid_month", "from lies after to.")
    if not question.measures:
        question = replace(question, measures=_all(question))
    _answerable(question)
    return question


def _all(question: Question) -> tuple[str, ...]:
    """All counts; people only where they are kept counted, because to count them anew takes its time."""
    return tuple(name for name in MEASURES if name != "people" or _kept(question))


def _answerable(question: Question) -> None:
    rates = [name for name in question.measures if name in RATES]
    asked = {*question.by, *(name for name, _ in question.where)}
    if not rates:
        return
    if unfit := sorted(asked.intersection(NOT_BY)):
        raise UnknownQuestion("not_by", f"{rates[0]} is not by {unfit[0]}: only a part of what it counts has one.")
    if "month" in asked and question.basis_of(rates[0]) == "cohort":
        raise UnknownQuestion(
            "not_by", f"{rates[0]} follows cohorts: ask for end_month in the place of month, or for basis=event."
        )


async def positions(session: AsyncSession) -> dict[str, int]:
    """How far each stream is applied; 0 for one that was never heard."""
    heard = await heard_positions(session)
    return {stream: heard.get(stream, 0) for stream in STREAMS}


async def version(session: AsyncSession) -> int:
    """How often the cube has changed."""
    return int(await session.scalar(select(col(CubeVersion.number))) or 0)


def tag(question: Question, position: dict[str, int], version: int, told: str = "") -> str:
    """An entity tag (RFC 9110, 8.8.3): the same question at the same position of the same cube has the same answer.

    ``told`` is how it is told, where that differs.
    """
    return f'"{hashlib.sha256(repr((question, sorted(position.items()), version, told)).encode()).hexdigest()[:32]}"'


async def one_snapshot(session: AsyncSession) -> None:
    """Let all that the session reads belong together: figures and the position up to which they are true."""
    await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


async def aggregates(session: AsyncSession, question: Question, position: dict[str, int]) -> Aggregates:
    """The answer to a question, from a session that sees one snapshot in which ``position`` is that of now.

    Raises ``UnknownQuestion`` when it has more than ROWS rows.
    """
    step = None if question.as_of is None else await step_at(session, question.as_of)
    found: dict[Place, Figures] = {} if question.by else {(): {}}
    totals: Figures = {}
    for basis, measures in _by_basis(question).items():
        cells = await _cells(session, question, basis, measures, step)
        for place, lines in cells.items():
            found.setdefault(place, {}).update(_figures(measures, lines))
        whole = [line for lines in cells.values() for line in lines]
        totals.update(_figures(measures, whole))
    if "people" in question.measures:
        for place, number in (await _people(session, question, question.by, step)).items():
            found.setdefault(place, {})["people"] = number
        totals["people"] = (await _people(session, question, (), step)).get((), 0)
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
    more = sorted({name for term in terms for name in term.only})
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
    """The smallest cube that has the dimensions, as it is or as it was at a step: its columns, and ``value``."""
    names = ["measure", *sorted(asked)]
    grain = coarse.coarsest(asked)
    if grain is None and step is None:
        return _fine()
    fine, changes = _fine(), inspect(CubeChange).local_table
    since = (
        select(*(fine[name] for name in names), (-changes.c.delta).label("value"))
        .join_from(changes, fine["key"].table, changes.c.key == fine["key"])
        .where(changes.c.step > (0 if step is None else step.number))
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


def _kept(question: Question) -> bool:
    """Whether people are kept counted by all that is asked: no months, and no two values of which one person may have both."""
    single = all(len(values) == 1 for _, values in question.where)
    asked = {*question.by, *(name for name, _ in question.where)}
    together = not asked.issuperset({"cohort", "sex"})  # a cohort's people are not kept by sex
    together = together and question.limited_to is None
    return single and together and asked.issubset(PEOPLE_BY) and not (question.from_month or question.to_month)


async def _people(session: AsyncSession, question: Question, by: Sequence[str], step: Step | None) -> dict[Place, int]:
    """Distinct people, for each place by itself."""
    where = dict(question.where)
    if _kept(question):
        asked = {*by, *where} | ({"programme"} if "cohort" in {*by, *where} else set())
        cube = _cube(DIMENSIONS, step)
        only = [_one_of(cube["measure"], ["people"]), *(_one_of(cube[name], values) for name, values in where.items())]
        only += [(cube[name] != TOTAL) if name in asked else (cube[name] == TOTAL) for name in PEOPLE_BY]
        summed = await session.execute(_summed(by, cube, only))
        return {tuple(place): int(value) for *place, value in summed if value}
    months = {
        "end_month" if question.basis_of("people") == "cohort" else "month": (question.from_month, question.to_month)
    }
    position = None if step is None else step.position["ENROLMENT"]
    return await distinct(session, by, where, months, position, question.limited_to)


def _known(what: str, names: list[str], known: Collection[str]) -> tuple[str, ...]:
    for name in names:
        if name not in known:
            # The name itself is not repeated: it may be anything.
            raise UnknownQuestion(f"unknown_{what}", f"There is no such {what}. There are: {', '.join(known)}.")
    return tuple(names)


def _values(name: str, values: list[str]) -> tuple[str, ...]:
    for value in values:
        if name in _MONTHS:
            _check_month(name, value)
        elif not _VALUE.fullmatch(value):
            raise UnknownQuestion("invalid_value", f"{name}: a value is made of letters, digits, - and _ (at most 63).")
    return tuple(values)


def _month(name: str, given: dict[str, list[str]]) -> str | None:
    if name not in given:
        return None
    if len(given[name]) > 1:
        raise UnknownQuestion("invalid_month", f"{name}: give one month.")
    return _check_month(name, given[name][0])


def _basis(given: dict[str, list[str]]) -> Basis | None:
    if "basis" not in given:
        return None
    for basis in BASES:
        if given["basis"] == [basis]:
            return basis
    raise UnknownQuestion("unknown_basis", f"basis: give one of {', '.join(BASES)}.")


def _asked(name: str, given: dict[str, list[str]]) -> Asked | None:
    if name not in given:
        return None
    if len(given[name]) > 1:
        raise UnknownQuestion("invalid_moment", f"{name}: give one.")
    return read_moment(name, given[name][0])


def read_moment(name: str, asked: str | None) -> Asked | None:
    """A position or a moment that a parameter names. Raises ``UnknownQuestion``."""
    if asked is None:
        return None
    try:
        return Asked.read(asked)
    except NotAMoment:
        raise UnknownQuestion("invalid_moment", f"{name}: {HOW_TO_ASK}.") from None


def read_limit(asked: str) -> int:
    """How many lines a page is to have. Raises ``UnknownQuestion``."""
    if asked.isascii() and asked.isdigit() and len(asked) < 5 and 1 <= int(asked) <= 1000:
        return int(asked)
    raise UnknownQuestion("invalid_limit", "limit: write a number from 1 to 1000.")


def _check_month(name: str, value: str) -> str:
    if not _MONTH.fullmatch(value):
        raise UnknownQuestion("invalid_month", f"{name}: write a month as YYYY-MM, from 1900-01 to 2199-12.")
    return value


def _one_of(column: ColumnElement[Any], values: Iterable[str]) -> ColumnElement[bool]:
    return column == any_(literal(list(values), ARRAY(Text)))


def _figures(measures: Sequence[str], lines: Sequence[Line]) -> Figures:
    """The measures, from the counts of one place or of all."""
    found: Figures = {}
    for name in measures:
        if rate := RATES.get(name):
            numerator, denominator = rate.parts(lines)
            if denominator:
                found[name] = numerator / denominator
            found |= {f"{name}_numerator": numerator, f"{name}_denominator": denominator}
        else:
            value, parts = sum(value for cell, value in lines if cell["measure"] == name), COUNTED[name].parts
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
