"""Questions to the cube: which measures, by what, of what, and the answer with the position up to which it is true."""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy import ColumnElement, FromClause, Text, any_, func, inspect, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.reporting.domain import DIMENSIONS, MEASURES
from services.reporting.ledger import HOW_TO_ASK, STREAMS, Asked, NotAMoment, step_at
from services.reporting.tables import CubeCell, CubeChange, CubeVersion
from shared.outbox import heard_positions

PARAMETERS = ("measure", "by", "from", "to", "as_of", *DIMENSIONS)

Number = int | float

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

    ``position`` is how far both streams are in it; ``as_of`` is null unless an earlier state was asked for.
    """

    measures: list[str]
    by: list[str]
    rows: list[dict[str, str | Number]]
    totals: dict[str, Number]
    position: dict[str, int]
    as_of: AsOf | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """Which measures, by which dimensions, of which values only, in which months (both included), as known when."""

    measures: tuple[str, ...] = tuple(MEASURES)
    by: tuple[str, ...] = ()
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()
    from_month: str | None = None
    to_month: str | None = None
    as_of: Asked | None = None


def read_question(parameters: Iterable[tuple[str, str]]) -> Question:
    """The question that an address's parameters ask; each may stand several times, or hold a list with commas.

    Raises ``UnknownQuestion``.
    """
    given: dict[str, list[str]] = {}
    for name, values in parameters:
        _known("parameter", [name], PARAMETERS)
        wanted = given.setdefault(name, [])
        wanted += [value for value in dict.fromkeys(values.split(",")) if value not in wanted]
    question = Question(
        measures=_known("measure", given.get("measure", list(MEASURES)), MEASURES),
        by=_known("dimension", given.get("by", []), DIMENSIONS),
        where=tuple((name, _values(name, given[name])) for name in DIMENSIONS if name in given),
        from_month=_month("from", given),
        to_month=_month("to", given),
        as_of=_asked("as_of", given),
    )
    if question.from_month and question.to_month and question.to_month < question.from_month:
        raise UnknownQuestion("invalid_month", "from lies after to.")
    return question


async def positions(session: AsyncSession) -> dict[str, int]:
    """How far each stream is applied; 0 for one that was never heard."""
    heard = await heard_positions(session)
    return {stream: heard.get(stream, 0) for stream in STREAMS}


async def version(session: AsyncSession) -> int:
    """How often the cube has changed."""
    return int(await session.scalar(select(col(CubeVersion.number))) or 0)


def tag(question: Question, position: dict[str, int], version: int) -> str:
    """An entity tag (RFC 9110, 8.8.3): the same question at the same position of the same cube has the same answer."""
    return f'"{hashlib.sha256(repr((question, sorted(position.items()), version)).encode()).hexdigest()[:32]}"'


async def one_snapshot(session: AsyncSession) -> None:
    """Let all that the session reads belong together: figures and the position up to which they are true."""
    await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


async def aggregates(session: AsyncSession, question: Question, position: dict[str, int]) -> Aggregates:
    """The answer to a question, from a session that sees one snapshot in which ``position`` is that of now."""
    as_of = None
    value = _column("value")
    source: FromClause = inspect(CubeCell).local_table
    if question.as_of is not None:
        step = await step_at(session, question.as_of)
        as_of, position = AsOf(asked=question.as_of.text, step=step.number, recorded=step.time), dict(step.position)
        since = (
            select(col(CubeChange.key), func.sum(col(CubeChange.delta)).label("delta"))
            .where(col(CubeChange.step) > step.number)
            .group_by(col(CubeChange.key))
            .subquery()
        )
        source = source.outerjoin(since, since.c.key == col(CubeCell.key))
        value -= func.coalesce(since.c.delta, 0)
    columns = [_column(name) for name in question.by]
    statement = (
        select(*columns, _column("measure"), func.sum(value))
        .select_from(source)
        .where(*_conditions(question), value != 0)
        .group_by(*columns, _column("measure"))
    )
    found: dict[tuple[str, ...], dict[str, int]] = {} if question.by else {(): {}}
    totals: Counter[str] = Counter()
    for *place, measure, number in await session.execute(statement):
        found.setdefault(tuple(place), {})[measure] = int(number)
        totals[measure] += int(number)
    rows = [
        {**dict(zip(question.by, place, strict=True)), **_figures(question, figures)}
        for place, figures in sorted(found.items(), key=lambda row: _order(question, row[0]))
    ]
    return Aggregates(
        measures=list(question.measures),
        by=list(question.by),
        rows=rows,
        totals=_figures(question, totals),
        position=position,
        as_of=as_of,
    )


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


def _asked(name: str, given: dict[str, list[str]]) -> Asked | None:
    if name not in given:
        return None
    if len(given[name]) > 1:
        raise UnknownQuestion("invalid_moment", f"{name}: give one.")
    try:
        return Asked.read(given[name][0])
    except NotAMoment:
        raise UnknownQuestion("invalid_moment", f"{name}: {HOW_TO_ASK}.") from None


def _check_month(name: str, value: str) -> str:
    if not _MONTH.fullmatch(value):
        raise UnknownQuestion("invalid_month", f"{name}: write a month as YYYY-MM, from 1900-01 to 2199-12.")
    return value


def _column(name: str) -> ColumnElement[Any]:
    # `name` comes from the tables of the domain, never from the question's text.
    column: ColumnElement[Any] = CubeCell.__table__.columns[name]  # type: ignore[attr-defined]
    return column


def _conditions(question: Question) -> list[ColumnElement[bool]]:
    conditions = [_one_of("measure", question.measures)]
    conditions += [_one_of(name, values) for name, values in question.where]
    if question.from_month:
        conditions.append(_column("month") >= question.from_month)
    if question.to_month:
        conditions.append(_column("month") <= question.to_month)
    return conditions


def _one_of(name: str, values: Iterable[str]) -> ColumnElement[bool]:
    return _column(name) == any_(literal(list(values), ARRAY(Text)))


def _figures(question: Question, figures: dict[str, int] | Counter[str]) -> dict[str, Number]:
    found: dict[str, Number] = {}
    for name in question.measures:
        value, parts = figures.get(name, 0), MEASURES[name].parts
        found[name] = value if parts == 1 else value / parts
    return found


def _order(question: Question, place: tuple[str, ...]) -> list[tuple[int, str]]:
    """By value, in the code points' order on every machine; months after completion as the numbers they are."""
    return [
        (int(value) if name == "months_after" and value.isdecimal() else -1, value)
        for name, value in zip(question.by, place, strict=True)
    ]
