"""Facts become rows and cube, in the transaction that also says how far the streams are heard."""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Text, any_, cast, literal, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped
from sqlmodel import col

from services.reporting import ledger, registered
from services.reporting.difference import effect, reach
from services.reporting.domain import Cell, Known, Rows, Scope, count, newest
from services.reporting.tables import Certificate, Cohort, CubeCell, Enrolment, Office, Token
from shared.events import certification, enrolment
from shared.events.certification import CertificateFact
from shared.events.enrolment import CohortFact, OfficeFact, TraineeFact
from shared.events.facts import FactEnvelope, Version
from shared.offices import apply_office

_DATA = enrolment.DATA | certification.DATA

# A recount holds so many in memory at a time, with all that hangs on them.
_COHORTS_AT_A_TIME = 10
_PERSONS_AT_A_TIME = 100
_CELLS_AT_A_TIME = 2000

DIFFERENCES_SHOWN = 100
"""A cube that differs in more cells than this is to be rebuilt, not read through."""


class Difference(BaseModel):
    """A cell in which the cube and the rows do not agree."""

    cell: dict[str, str]
    cube: int
    recount: int


class Check(BaseModel):
    """Whether the cube is what a recount of the rows gives; the first differences if not."""

    same: bool
    cells: int
    differences: list[Difference]


def read(body: bytes, position: int = 0) -> Known:
    """A message of either stream, at its place there. Raises ``ValidationError`` or ``LookupError`` when it is no fact."""
    envelope = FactEnvelope.model_validate_json(body)
    data = _DATA[envelope.type].model_validate(envelope.data)
    kind = envelope.type.removesuffix(".v1")
    version = Version(envelope.epoch, envelope.revision)
    return Known(kind, envelope.subject, version, data, position, envelope.time, envelope.cause)


async def apply(session: AsyncSession, facts: Sequence[Known]) -> None:
    """Take up what the facts say that is new: offices, rows, and ``new - old`` into the cube.

    Programmes, centres and schemes are kept for what they are called; recognitions are passed over.
    """
    for fact in facts:
        if isinstance(fact.data, OfficeFact):
            await apply_office(session, Office, Token, fact.data, *fact.version)
    await registered.keep(session, facts)
    counted = [fact for fact in facts if isinstance(fact.data, CohortFact | TraineeFact | CertificateFact)]
    if not counted:
        return
    await lock_projection(session)
    fresh = newest(counted, await _versions(session, counted))
    if not fresh:
        return
    changed = Rows()
    for fact in fresh:
        changed.put(fact.data)
    held = await _touched_by(session, changed)
    await _save(session, fresh)
    latest = set(map(id, fresh))
    await _keep_past(session, [fact for fact in counted if id(fact) not in latest])
    await _add_to_cube(session, effect(held, changed), facts)


async def take(session: AsyncSession, facts: Sequence[Known]) -> None:
    """Take up rows without counting them, and every fact as a past one that is not the newest: to be counted all at once."""
    await registered.keep(session, facts)
    counted = [fact for fact in facts if isinstance(fact.data, CohortFact | TraineeFact | CertificateFact)]
    fresh = newest(counted, await _versions(session, counted))
    await _save(session, fresh)
    latest = set(map(id, fresh))
    await _keep_past(session, [fact for fact in counted if id(fact) not in latest])


async def count_anew(session: AsyncSession) -> None:
    """Fill an empty cube from the rows."""
    for table in ("cohorts", "enrolments", "certificates"):
        await session.execute(text(f"ANALYZE {table}"))
    counted = await recount(session)
    cells = [cell for cell in counted if counted[cell]]
    for first in range(0, len(cells), _CELLS_AT_A_TIME):
        some = cells[first : first + _CELLS_AT_A_TIME]
        values = {name: [cell[place] for cell in some] for place, name in enumerate(Cell._fields)}
        await session.execute(
            text(_FILL), {"key": [key_of(cell) for cell in some], **values, "value": [counted[cell] for cell in some]}
        )


_FILL = f"""
    INSERT INTO cube (key, {", ".join(Cell._fields)}, value)
    SELECT * FROM unnest(CAST(:key AS bytea[]), {", ".join(f"CAST(:{name} AS text[])" for name in Cell._fields)},
                         CAST(:value AS bigint[]))
"""  # noqa: S608 (the names of a fixed table)


async def lock_projection(session: AsyncSession) -> None:
    """Let one transaction at a time change rows and cube.

    The bus lets in one batch of each stream at a time, but the two streams meet in the same rows and cells.
    """
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('reporting.projection', 0))"))


async def recount(session: AsyncSession) -> Counter[Cell]:
    """The whole cube, counted anew from the rows. The session must see one snapshot throughout."""
    counted: Counter[Cell] = Counter()
    async for cohorts in _chunks(session, col(Cohort.cohort), _COHORTS_AT_A_TIME):
        rows = await _load(session, _among(col(Enrolment.cohort), cohorts), cohorts)
        counted.update(count(rows, Scope(cohorts=frozenset(cohorts), enrolments=frozenset(rows.enrolments))))
    async for persons in _chunks(session, col(Enrolment.person), _PERSONS_AT_A_TIME):
        rows = await _load(session, _among(col(Enrolment.person), persons))
        counted.update(count(rows, Scope(persons=frozenset(persons))))
    return counted


async def check(session: AsyncSession) -> Check:
    """The cube compared with a recount of the rows. The session must see one snapshot throughout."""
    left = await recount(session)
    cells = 0
    differing: list[tuple[Cell, int, int]] = []
    # The kept cube passes by beside the recount, which shrinks: both whole, as objects, were the most memory this service took.
    async for cell, value in _cells(session):
        cells += 1
        if (counted := left.pop(cell, 0)) != value and len(differing) < DIFFERENCES_SHOWN:
            differing.append((cell, value, counted))
    differing += [(cell, 0, counted) for cell, counted in left.items() if counted]
    shown = [
        Difference(cell=cell._asdict(), cube=value, recount=counted)
        for cell, value, counted in sorted(differing)[:DIFFERENCES_SHOWN]
    ]
    return Check(same=not differing, cells=cells, differences=shown)


async def cube(session: AsyncSession) -> dict[Cell, int]:
    """The whole cube as it is kept."""
    return {cell: value async for cell, value in _cells(session)}


async def _cells(session: AsyncSession) -> AsyncIterator[tuple[Cell, int]]:
    columns = [getattr(CubeCell, name) for name in Cell._fields]
    found = await session.stream(
        select(*columns, col(CubeCell.value)).where(col(CubeCell.value) != 0),
        execution_options={"yield_per": _CELLS_AT_A_TIME},
    )
    async for row in found:
        yield Cell(*row[:-1]), row[-1]


# --- rows

TABLES: Mapping[str, tuple[type[Cohort | Enrolment | Certificate], Mapped[str]]] = {
    "cohort": (Cohort, col(Cohort.cohort)),
    "trainee": (Enrolment, col(Enrolment.enrolment)),
    "certificate": (Certificate, col(Certificate.certificate)),
}
"""By its kind, where the newest fact of a thing that is counted is kept: the table, and its column of keys."""


async def _versions(session: AsyncSession, facts: Sequence[Known]) -> dict[tuple[str, str], Version]:
    held = {}
    for kind, (table, key) in TABLES.items():
        if which := {fact.key for fact in facts if fact.kind == kind}:
            asked = select(key, col(table.epoch), col(table.revision)).where(_among(key, which))
            for name, epoch, revision in await session.execute(asked):
                held[kind, name] = Version(epoch, revision)
    return held


async def _touched_by(session: AsyncSession, changed: Rows) -> Rows:
    """All that the effect of a change depends on, as it was before the change."""
    awarded = {award.enrolment for award in changed.certificates.values()}
    lines = or_(
        _among(col(Enrolment.enrolment), awarded | changed.enrolments.keys()),
        _among(col(Enrolment.cohort), changed.cohorts),
    )
    held = Rows()
    await _put_enrolments(
        session, held, lines, {*changed.cohorts, *(one.cohort for one in changed.enrolments.values())}
    )
    # Most facts move neither a person nor a place: of theirs, nothing else is read.
    reached = reach(held, changed)
    if reached.persons:
        await _put_enrolments(session, held, _among(col(Enrolment.person), reached.persons))
    if reached.awards:
        await _put_certificates(session, held, reached.awards)
    return held


async def _load(session: AsyncSession, which: ColumnElement[bool], cohorts: Iterable[str] = ()) -> Rows:
    """Enrolments with their cohorts and certificates; further cohorts."""
    rows = Rows()
    await _put_enrolments(session, rows, which, cohorts)
    await _put_certificates(session, rows, rows.enrolments)
    return rows


async def _put_enrolments(
    session: AsyncSession, rows: Rows, which: ColumnElement[bool], cohorts: Iterable[str] = ()
) -> None:
    """Enrolments with their cohorts; further cohorts."""
    for data in await session.scalars(select(cast(col(Enrolment.data), Text)).where(which)):
        rows.put(TraineeFact.model_validate_json(data))
    of_them = {*cohorts, *(trainee.cohort for trainee in rows.enrolments.values())} - rows.cohorts.keys()
    if of_them:
        for data in await session.scalars(
            select(cast(col(Cohort.data), Text)).where(_among(col(Cohort.cohort), of_them))
        ):
            rows.put(CohortFact.model_validate_json(data))


async def _put_certificates(session: AsyncSession, rows: Rows, enrolments: Iterable[str]) -> None:
    of_them = _among(col(Certificate.enrolment), enrolments)
    for data in await session.scalars(select(cast(col(Certificate.data), Text)).where(of_them)):
        rows.put(CertificateFact.model_validate_json(data))


# What is replaced is kept as it was: the copy is made by the database, and nothing is read back.
_SAVE = """
    WITH said AS (
        SELECT * FROM unnest({arrays}, CAST(:epoch AS bigint[]), CAST(:revision AS bigint[]), CAST(:position AS bigint[]),
                             CAST(:time AS timestamptz[]), CAST(:cause AS text[]), CAST(:data AS text[]))
             AS said ({columns}, epoch, revision, position, time, cause, data)
    ), past AS (
        INSERT INTO past_facts AS kept (kind, key, epoch, revision, position, time, cause, data, step)
        SELECT :kind, {key}, held.epoch, held.revision, held.position, held.time, held.cause, held.data, held.step
        FROM {table} AS held JOIN said USING ({key})
        ON CONFLICT (kind, key, epoch, revision) DO UPDATE SET step = excluded.step WHERE excluded.step < kept.step
    )
    INSERT INTO {table} ({columns}, epoch, revision, position, time, cause, data, step)
    SELECT {columns}, epoch, revision, position, time, cause, CAST(data AS jsonb), {next} FROM said
    ON CONFLICT ({key}) DO UPDATE
    SET ({columns}, epoch, revision, position, time, cause, data, step) = ROW (
        {excluded}, excluded.epoch, excluded.revision, excluded.position, excluded.time, excluded.cause, excluded.data,
        excluded.step
    )
"""
_COLUMNS = {
    "cohort": ["cohort"],
    "trainee": ["enrolment", "cohort", "person"],
    "certificate": ["certificate", "enrolment"],
}


async def _keep_past(session: AsyncSession, facts: Sequence[Known]) -> None:
    """Facts that others have followed on, as if they had been held."""
    if facts:
        await session.execute(
            text(
                f"""
                INSERT INTO past_facts (kind, key, epoch, revision, position, time, cause, data, step)
                SELECT kind, key, epoch, revision, position, time, cause, CAST(data AS jsonb), {ledger.NEXT_STEP}
                FROM unnest(CAST(:kind AS text[]), CAST(:key AS text[]), CAST(:epoch AS bigint[]), CAST(:revision AS bigint[]),
                            CAST(:position AS bigint[]), CAST(:time AS timestamptz[]), CAST(:cause AS text[]),
                            CAST(:data AS text[]))
                     AS said (kind, key, epoch, revision, position, time, cause, data)
                ON CONFLICT DO NOTHING
                """  # noqa: S608 (fixed words)
            ),
            {
                "kind": [fact.kind for fact in facts],
                "key": [fact.key for fact in facts],
                "epoch": [fact.version.epoch for fact in facts],
                "revision": [fact.version.revision for fact in facts],
                "position": [fact.position for fact in facts],
                "time": [fact.time for fact in facts],
                "cause": [fact.cause for fact in facts],
                "data": [fact.data.model_dump_json() for fact in facts],
            },
        )


async def _save(session: AsyncSession, facts: Sequence[Known]) -> None:
    for kind, (table, _) in TABLES.items():
        columns = _COLUMNS[kind]
        of_kind = [fact for fact in facts if fact.kind == kind]
        if of_kind:
            statement = _SAVE.format(
                table=table.__tablename__,
                columns=", ".join(columns),
                key=columns[0],
                arrays=", ".join(f"CAST(:{name} AS text[])" for name in columns),
                excluded=", ".join(f"excluded.{name}" for name in columns),
                next=ledger.NEXT_STEP,
            )
            values = {
                "kind": kind,
                **{name: [getattr(fact.data, name) for fact in of_kind] for name in columns},
                "epoch": [fact.version.epoch for fact in of_kind],
                "revision": [fact.version.revision for fact in of_kind],
                "position": [fact.position for fact in of_kind],
                "time": [fact.time for fact in of_kind],
                "cause": [fact.cause for fact in of_kind],
                "data": [fact.data.model_dump_json() for fact in of_kind],
            }
            await session.execute(text(statement), values)


# --- cube


async def _add_to_cube(session: AsyncSession, delta: Counter[Cell], facts: Iterable[Known]) -> None:
    if delta:
        await ledger.change(session, delta, map(key_of, delta), facts)


def key_of(cell: Cell) -> bytes:
    """The cell's primary key: one short column in the index in the place of twenty."""
    return hashlib.blake2b("\x1f".join(cell).encode(), digest_size=16).digest()


# --- reading many


def _among(column: ColumnElement[str] | Mapped[str], values: Iterable[str]) -> ColumnElement[bool]:
    # One array, not one parameter each: PostgreSQL takes no more than 32,767 of those.
    return column == any_(literal(list(values), ARRAY(Text)))


async def _chunks(session: AsyncSession, column: Mapped[str], size: int) -> AsyncIterator[list[str]]:
    """The distinct values of a column, in order, so many at a time."""
    last = ""
    while True:
        statement = select(column).where(column > last).distinct().order_by(column).limit(size)
        values = list(await session.scalars(statement))
        if not values:
            return
        yield values
        last = values[-1]
