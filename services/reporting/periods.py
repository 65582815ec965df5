"""Reporting periods: what a programme meant to reach and what it reached; versions of a report, each kept as it was published.

A period is closed by making its first version: its figures, up to which facts they are true, and a digest of both. Nobody can
change a version. Facts that come later are seen as a difference; a restatement is the next version, with that difference and why.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.reporting import explain, queries, registered
from services.reporting.comparing import Comparison
from services.reporting.explain import Sight
from services.reporting.ledger import Asked, last_step
from services.reporting.measures import MEASURES, RULES
from services.reporting.queries import Number
from services.reporting.questions import ASKED, Question, UnknownQuestion
from services.reporting.rates import RATES
from services.reporting.tables import PeriodVersion
from shared.events.codes import month_of
from shared.events.enrolment import ProgrammeFact
from shared.events.envelope import canonical
from shared.events.offices_to_enrolment import Period

REPORTED = (*MEASURES, *RATES)
BY = ("country", "sex", "trade", "host_country", "scheme")
"""What a version breaks its figures down by, each by itself."""
_CAUSES = ("enrolled", "completed", "certified", "people")
"""The counts of which a restatement tells why they differ."""


Months = tuple[str | None, str | None]
_ALL_MONTHS: Months = (None, None)
Closings = Mapping[str, tuple[int, datetime]]
"""By period: how many versions there are, and when the first was made."""
Reached = Mapping[tuple[str, Months, str], Number]
"""By programme, months and indicator."""


class NoSuchPeriod(LookupError):
    """No programme has such a period, or the period no such version."""


class Unchanged(Exception):
    """The last version says what would be said now."""


class TargetLine(BaseModel):
    """What a programme meant to reach, in a period or (null) in all, and what it reached by now; null when we do not count it."""

    indicator: str
    period: str | None
    target: int
    actual: Number | None


class PeriodLine(BaseModel):
    """A period of a programme. Its months are those from its first day to its last."""

    id: str
    programme: str
    period: str
    starts_on: date
    ends_on: date
    months: list[str]
    versions: int
    closed: datetime | None
    targets: list[TargetLine]


class Periods(BaseModel):
    """Every period of every programme, and what the programmes mean to reach in all."""

    items: list[PeriodLine]
    targets: dict[str, list[TargetLine]]


class Change(BaseModel):
    """A figure that is otherwise than in the version before."""

    was: Number | None
    now: Number | None


class Restated(BaseModel):
    """How a version differs from the one before: the totals that do, and of the main counts what came and went, and why.

    A count of which more came and went than is explained at once stands in ``totals`` alone.
    """

    totals: dict[str, Change]
    causes: dict[str, Comparison]


class PeriodReport(BaseModel):
    """One version of a period's report, as it was published; ``digest`` is the SHA-256 of its content as canonical JSON."""

    id: str
    version: int
    made: datetime
    by: str
    reason: str | None
    position: dict[str, int]
    rules: int
    digest: str
    figures: dict[str, Any]
    restated: Restated | None


class PeriodState(BaseModel):
    """A period with its versions' digests, and how the figures of now differ from the last version; null while it is open."""

    period: PeriodLine
    digests: list[str]
    since: Restated | None


def id_of(programme: str, period: str) -> str:
    return f"{programme}.{period}"


async def every(session: AsyncSession) -> Periods:
    """All periods with their targets, from a session that sees one snapshot."""
    programmes: list[ProgrammeFact] = await registered.of_kind(session, "programme")
    closings, reached = await _closings(session), await _reached(session, programmes)
    return Periods(
        items=[_line(one, period, closings, reached) for one in programmes for period in one.periods],
        targets={one.programme: _targets(one, None, reached) for one in programmes},
    )


async def one(session: AsyncSession, id_: str) -> PeriodState:
    """A period, and how it stands against its last version. Raises NoSuchPeriod."""
    programme, period = await _found(session, id_)
    rows = await _versions(session, id_)
    since = None
    if rows:
        since = await _restated(session, programme.programme, period, rows[-1], await _figures(session, id_, period))
    line = _line(programme, period, await _closings(session), await _reached(session, [programme], period))
    return PeriodState(period=line, digests=[row.digest for row in rows], since=since)


async def version(session: AsyncSession, id_: str, number: int) -> PeriodReport:
    """A version as it was published. Raises NoSuchPeriod."""
    for row in await _versions(session, id_):
        if row.version == number:
            return _shown(row)
    raise NoSuchPeriod


async def close(session: AsyncSession, id_: str, by: str, reason: str | None) -> PeriodReport:
    """Make the next version of a period's report of what is known now. Raises NoSuchPeriod, and Unchanged."""
    await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    programme, period = await _found(session, id_)
    rows = await _versions(session, id_)
    figures = await _figures(session, id_, period)
    restated = None
    if rows:
        if figures == rows[-1].figures:
            raise Unchanged
        restated = await _restated(session, programme.programme, period, rows[-1], figures)
    position = await queries.positions(session)
    row = PeriodVersion(
        id=id_,
        version=len(rows) + 1,
        made=datetime.now(UTC),
        by=by,
        reason=reason,
        position=position,
        step=(await last_step(session)).number,
        rules=RULES,
        digest="",
        figures=figures,
        restated=None if restated is None else restated.model_dump(mode="json"),
    )
    row.digest = _digest(row)
    session.add(row)
    await session.flush()
    return _shown(row)


def _digest(row: PeriodVersion) -> str:
    content = {name: getattr(row, name) for name in ("id", "version", "position", "rules", "figures")}
    if row.restated is not None:
        content["restated"] = row.restated
    return hashlib.sha256(canonical(content)).hexdigest()


async def unlike(session: AsyncSession) -> list[str]:
    """Versions that are not what their digest was made of, by period and number."""
    rows = await session.scalars(select(PeriodVersion).order_by(col(PeriodVersion.id), col(PeriodVersion.version)))
    return [f"{row.id} {row.version}" for row in rows if row.digest != _digest(row)]


async def coordinates(session: AsyncSession, office: str, id_: str) -> bool:
    """Whether an office is a coordinator of the period's programme: of any cohort in it."""
    found = await session.scalar(
        text(
            """
            SELECT EXISTS (SELECT FROM cohorts WHERE data ->> 'programme' = :programme AND data ->> 'status' <> 'void'
                AND data -> 'parties' @> CAST(:party AS jsonb))
            """
        ),
        {
            "programme": id_.rpartition(".")[0],
            "party": json.dumps([{"office": office, "role": "coordinator"}]),
        },
    )
    return bool(found)


async def _found(session: AsyncSession, id_: str) -> tuple[ProgrammeFact, Period]:
    programmes: list[ProgrammeFact] = await registered.of_kind(session, "programme")
    for programme in programmes:
        for period in programme.periods:
            if id_of(programme.programme, period.period) == id_:
                return programme, period
    raise NoSuchPeriod


async def _versions(session: AsyncSession, id_: str) -> list[PeriodVersion]:
    which = select(PeriodVersion).where(col(PeriodVersion.id) == id_).order_by(col(PeriodVersion.version))
    return list(await session.scalars(which))


async def _closings(session: AsyncSession) -> Closings:
    rows = await session.execute(
        select(col(PeriodVersion.id), func.count(), func.min(col(PeriodVersion.made))).group_by(col(PeriodVersion.id))
    )
    return {id_: (versions, closed) for id_, versions, closed in rows}


async def _reached(session: AsyncSession, programmes: Sequence[ProgrammeFact], only: Period | None = None) -> Reached:
    """What was reached of all that programmes have targets for, or of one period's: counted at once for the same months."""
    asked: dict[Months, list[tuple[str, str]]] = defaultdict(list)
    for programme in programmes:
        months = {period.period: _months(period) for period in programme.periods}
        for target in programme.targets:
            if only is not None and target.period != only.period:
                continue
            if target.indicator in ASKED and (target.period is None or target.period in months):
                asked[months.get(target.period or "", _ALL_MONTHS)].append((programme.programme, target.indicator))
    where = (("programme", (programmes[0].programme,)),) if len(programmes) == 1 else ()
    found: dict[tuple[str, Months, str], Number] = {}
    for (first, last), wanted in asked.items():
        measures = tuple(dict.fromkeys(indicator for _, indicator in wanted))
        answer = await queries.counted(session, Question(measures, ("programme",), where, first, last), {})
        rows = {row["programme"]: row for row in answer.rows}
        for of, indicator in wanted:
            # Nothing counted is 0; a share of nobody is none.
            value = rows[of].get(indicator) if of in rows else None if indicator in RATES else 0
            if isinstance(value, (int, float)):
                found[of, (first, last), indicator] = value
    return found


def _months(period: Period) -> Months:
    return month_of(period.starts_on), month_of(period.ends_on)


def _line(programme: ProgrammeFact, period: Period, closings: Closings, reached: Reached) -> PeriodLine:
    id_ = id_of(programme.programme, period.period)
    versions, closed = closings.get(id_, (0, None))
    return PeriodLine(
        id=id_,
        programme=programme.programme,
        period=period.period,
        starts_on=period.starts_on,
        ends_on=period.ends_on,
        months=[month_of(period.starts_on), month_of(period.ends_on)],
        versions=versions,
        closed=closed,
        targets=_targets(programme, period, reached),
    )


def _targets(programme: ProgrammeFact, period: Period | None, reached: Reached) -> list[TargetLine]:
    """Those of a period, or (None) those of the programme in all."""
    months = _ALL_MONTHS if period is None else _months(period)
    return [
        TargetLine(
            indicator=target.indicator,
            period=target.period,
            target=target.value,
            actual=reached.get((programme.programme, months, target.indicator)),
        )
        for target in programme.targets
        if target.period == (None if period is None else period.period)
    ]


def _question(id_: str, period: Period, measures: tuple[str, ...], by: tuple[str, ...] = ()) -> Question:
    where = (("programme", (id_.rpartition(".")[0],)),)
    return Question(measures, by, where, month_of(period.starts_on), month_of(period.ends_on))


async def _figures(session: AsyncSession, id_: str, period: Period) -> dict[str, Any]:
    whole = await queries.counted(session, _question(id_, period, REPORTED), {})
    by = {}
    for name in BY:
        answer = await queries.counted(session, _question(id_, period, REPORTED, (name,)), {})
        by[name] = answer.rows
    return {"basis": dict(whole.basis), "totals": whole.totals, "by": by}


async def _restated(
    session: AsyncSession, programme: str, period: Period, last: PeriodVersion, figures: Mapping[str, Any]
) -> Restated:
    """How figures differ from a version, and what came and went since then."""
    was, now = last.figures["totals"], figures["totals"]
    totals = {
        name: Change(was=was.get(name), now=now.get(name))
        for name in dict.fromkeys([*was, *now])
        if was.get(name) != now.get(name)
    }
    then = Asked.read(f"{last.position['ENROLMENT']}.{last.position['CERTIFICATION']}")
    if last.step is not None:
        then = replace(then, step=last.step)
    causes = {}
    for measure in _CAUSES:
        if measure in totals:
            question = _question(id_of(programme, period.period), period, (measure,))
            # Whoever has a token reads it, and a version is the same for all: so it names no centre and no cohort.
            try:
                explained = await explain.explain(session, question, then, Sight(), key=b"", limit=1)
            except UnknownQuestion:  # too much came and went: the totals tell by how much
                continue
            if explained.compared is not None:
                causes[measure] = explained.compared
    return Restated(totals=totals, causes=causes)


def _shown(row: PeriodVersion) -> PeriodReport:
    return PeriodReport(
        id=row.id,
        version=row.version,
        made=row.made,
        by=row.by,
        reason=row.reason,
        position=row.position,
        rules=row.rules,
        digest=row.digest,
        figures=row.figures,
        restated=None if row.restated is None else Restated.model_validate(row.restated),
    )
