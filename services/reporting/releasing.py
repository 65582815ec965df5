"""Publishing: whether it is on, what is public already, and the versions of the tables, each made once and never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.reporting import queries, values
from services.reporting.disclosure import MEASURES, THRESHOLD, Place, Shown, protect
from services.reporting.questions import Question, read_question
from services.reporting.released_tables import PROGRAMMES, TABLES, rows
from services.reporting.tables import Publication, Release, ReleasedException
from shared.events.codes import Code

Value = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,63}$")]


_NOTHING = Shown(dict.fromkeys(MEASURES, 0), {table: {} for table in TABLES if table != PROGRAMMES})


class Off(Exception):
    """Nothing is published here."""


class TooSoon(Exception):
    """There was a version today."""


class Terms(BaseModel):
    """Whether anything is published, and how many people a figure must count to be shown."""

    model_config = ConfigDict(extra="forbid")

    on: bool
    threshold: Annotated[int, Field(ge=3, le=100)] = THRESHOLD


class Exempt(BaseModel):
    """A figure that is public already: in which table and row of a programme, and what it is. Another value is not released.

    ``row`` is the value of the table's dimension; in the table of programmes there is none. ``reason`` says where it is public.
    """

    model_config = ConfigDict(extra="forbid")

    programme: Code
    table: Value
    row: Value | None = None
    measure: Value
    value: Annotated[int, Field(ge=1)]
    reason: Annotated[str, Field(min_length=3, max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]

    def problem(self) -> str | None:
        """Why there is no such figure, if so."""
        if self.table not in TABLES:
            return f"There is no such table. There are: {', '.join(TABLES)}."
        if self.measure not in MEASURES:
            return f"There is no such measure in the tables. There are: {', '.join(MEASURES)}."
        if (self.row is None) != (self.table == PROGRAMMES):
            if self.row is not None:
                return f"A figure of {PROGRAMMES} is the programme's own and has no row: leave the row out."
            return f"A figure of {self.table} has a row: say its {TABLES[self.table][0]}."
        return None


class ExemptLine(Exempt):
    """An exception as it was recorded, and whether the newest version shows it: not while the figure is another, or would give
    others away.
    """

    id: int
    made: datetime
    made_by: str
    shown: bool = False


class Version(BaseModel):
    """One version of all tables. ``kept_back`` are programmes whose figures are still those of an earlier one."""

    version: int
    released: date
    threshold: int
    position: dict[str, int]
    kept_back: list[str]


async def terms(session: AsyncSession) -> Terms:
    """Off, unless the administrator turned it on."""
    row = await session.get(Publication, 1)
    return Terms(on=row.on, threshold=row.threshold) if row else Terms(on=False)


async def set_terms(session: AsyncSession, wanted: Terms) -> None:
    await session.merge(Publication(id=1, on=wanted.on, threshold=wanted.threshold))


async def exceptions(session: AsyncSession) -> list[ExemptLine]:
    found = await session.scalars(select(ReleasedException).order_by(col(ReleasedException.id)))
    return await _lines(session, list(found))


async def _lines(session: AsyncSession, found: Sequence[ReleasedException]) -> list[ExemptLine]:
    newest = await tables_of(session)
    tables = newest[1] if newest else {}
    return [ExemptLine(**one.model_dump(), shown=_shows(tables, one)) for one in found]


def _shows(tables: Mapping[str, Any], exempt: ReleasedException) -> bool:
    place = {"programme": exempt.programme, exempt.measure: exempt.value}
    if dimension := TABLES[exempt.table][0]:
        place[dimension] = exempt.row
    return any(place.items() <= row.items() for row in tables.get(exempt.table, ()))


async def add_exception(session: AsyncSession, wanted: Exempt, by: str) -> ExemptLine:
    """Record one. Raises ``UnknownQuestion`` where there is no such programme or row."""
    dimension = TABLES[wanted.table][0]
    row = [(dimension, wanted.row)] if wanted.row is not None else []
    await values.check(session, read_question([("programme", wanted.programme), *row]))
    made = ReleasedException(**wanted.model_dump(), made=datetime.now(UTC), made_by=by)
    session.add(made)
    await session.flush()
    (line,) = await _lines(session, [made])
    return line


async def end_exception(session: AsyncSession, number: int) -> bool:
    """From the next version on the figure is hidden again, if it must be; whether there was one."""
    ended = await session.execute(
        delete(ReleasedException).where(col(ReleasedException.id) == number).returning(text("1"))
    )
    return ended.first() is not None


async def versions(session: AsyncSession) -> list[Version]:
    """The newest first."""
    found = await session.scalars(select(Release).order_by(col(Release.version).desc()))
    return [_version(one) for one in found]


async def tables_of(session: AsyncSession, version: int | None = None) -> tuple[Version, dict[str, Any]] | None:
    """A version with its tables' rows by name: the one asked for, else the newest."""
    statement = select(Release).order_by(col(Release.version).desc()).limit(1)
    if version is not None:
        statement = statement.where(col(Release.version) == version)
    found = await session.scalar(statement)
    return (_version(found), found.tables) if found else None


async def release(session: AsyncSession, today: date) -> Version:
    """Make the next version of all tables, in a transaction that has read nothing yet. Raises Off, and TooSoon when there was
    one this day.

    A programme of which nothing new can be shown without giving somebody away keeps the figures that it had.
    """
    # All figures of one moment; and a lock that is no query, so that the moment is after whoever held it before.
    await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    await session.execute(text("LOCK TABLE releases IN SHARE ROW EXCLUSIVE MODE"))
    agreed = await terms(session)
    if not agreed.on:
        raise Off
    earlier = list(await session.scalars(select(Release).order_by(col(Release.version))))
    if earlier and earlier[-1].released >= today:
        raise TooSoon
    position = await queries.positions(session)
    number = earlier[-1].version + 1 if earlier else 1
    exempt = await exceptions(session)
    kept: dict[str, Any] = dict(earlier[-1].kept) if earlier else {}
    back = []
    figures = await _figures(session, position)
    for programme, now in (dict.fromkeys(kept, _NOTHING) | figures).items():
        # One of which everything was voided is told so: its zeros are the same, whoever it counted. What it counts later is more
        # than what it counted before that, and not than nothing.
        before = [one for one in _told(earlier, programme) if any(one.total.values())]
        released = _released(programme, now, exempt)
        hidden = protect(now, before, agreed.threshold, released) if any(now.total.values()) else frozenset()
        if hidden is None:
            back.append(programme)
        elif programme not in kept or _differs(now, hidden, _shown(kept[programme])):
            kept[programme] = {
                "since": number,
                "total": now.total,
                "tables": now.tables,
                "hidden": sorted([*place] for place in hidden),
            }
    programmes = {programme: _shown(one) for programme, one in kept.items()}
    made = Release(
        version=number,
        released=today,
        threshold=agreed.threshold,
        position=position,
        tables={table: rows(table, programmes) for table in TABLES},
        kept=kept,
        kept_back=back,
    )
    session.add(made)
    return _version(made)


def _told(earlier: Sequence[Release], programme: str) -> list[Shown]:
    """What was told of a programme so far, each once."""
    kept = [(one, one.kept[programme]) for one in earlier if programme in one.kept]
    return [replace(_shown(shown), threshold=one.threshold) for one, shown in kept if shown["since"] == one.version]


async def _figures(session: AsyncSession, position: Mapping[str, int]) -> dict[str, Shown]:
    """The true figures in every table, of each programme of which something is counted."""
    totals: dict[str, dict[str, int]] = {}
    tables: dict[str, dict[str, dict[str, dict[str, int]]]] = {}
    for table, (dimension, _) in TABLES.items():
        by = ("programme", dimension) if dimension else ("programme",)
        answer = await queries.aggregates(session, Question(measures=MEASURES, by=by), dict(position))
        for row in answer.rows:
            programme, line = str(row["programme"]), {measure: int(row[measure] or 0) for measure in MEASURES}
            if not dimension:
                totals[programme] = line
            elif any(line.values()):
                tables.setdefault(programme, {}).setdefault(table, {})[str(row[dimension])] = line
    return {
        programme: Shown(total, {**_NOTHING.tables, **tables.get(programme, {})})
        for programme, total in totals.items()
        if any(total.values())
    }


def _released(programme: str, now: Shown, exempt: Sequence[Exempt]) -> set[Place]:
    """The exceptions that are about figures as they are now."""
    found = set()
    for one in exempt:
        place = Place(one.measure, "" if one.table == PROGRAMMES else one.table, one.row or "")
        if one.programme == programme and now.value(place) == one.value:
            found.add(place)
    return found


def _differs(now: Shown, hidden: frozenset[Place], last: Shown) -> bool:
    return (now.total, now.tables, hidden) != (last.total, last.tables, last.hidden)


def _shown(kept: Mapping[str, Any]) -> Shown:
    return Shown(kept["total"], kept["tables"], frozenset(Place(*place) for place in kept["hidden"]))


def _version(row: Release) -> Version:
    return Version(
        version=row.version,
        released=row.released,
        threshold=row.threshold,
        position=row.position,
        kept_back=row.kept_back,
    )
