"""Coarser cubes beside the fine one: the same counts without cohorts, each by the few dimensions that are asked for together.

What the projector adds to the fine cube it also puts down in a tail, in the same transaction; now and then the tail is added to
the coarser cubes. A reader takes a coarser cube and the tail together, so what they read is always that of the fine cube. Adding
thousands of changes at once costs a small part of adding each: most are of the same few cells.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from itertools import combinations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting.domain import DIMENSIONS, TOTAL
from shared.database import Database
from shared.deadletters import describe
from shared.tasks import background

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
LONGEST_TAIL = 20_000
"""Changes that a reader adds up themselves: a few milliseconds' worth."""

_ALL = ("programme", "sex")
"""In every one: each table tells the women."""
_PLACE = ("programme", "country", "host_country", "sex")
"""In most: partners see in detail what they send or host."""
_TIMES: tuple[tuple[str, ...], ...] = ((), ("month",), ("end_month",))
_AWARD, _OUTCOME = ("scheme", "level"), ("outcome", "months_after")
_KINDS: tuple[tuple[str, ...], ...] = (("trade",), ("sending_centre",), ("host_centre",), _AWARD, _OUTCOME)
"""What the dashboard has tables by: each may be chosen, and the others are then by that one too."""
GRAINS: tuple[tuple[str, ...], ...] = (
    *((*_ALL, *time) for time in _TIMES),
    *((*_PLACE, *time) for time in _TIMES),
    (*_PLACE, "start_month"),
    *((*_PLACE, *kind, *time) for time in _TIMES for kind in _KINDS),
    *((*_PLACE, "role", *time) for time in _TIMES[1:]),
    (*_PLACE, "trade", "mode", "role"),
    (*_PLACE, "scheme", "occupation", "level"),
    (*_PLACE, "role", "age_band", "disability"),
    *((*_PLACE, "age_band", "disability", *time) for time in _TIMES[1:]),
    *((*_PLACE, *one, *other) for one, other in combinations(_KINDS, 2) if (one, other) != (_AWARD, _OUTCOME)),
    (*_PLACE, "month", "end_month"),
)
"""The coarser cubes by their dimensions, the smaller ones before the larger; none knows cohorts."""


def number_of(grain: Collection[str]) -> int:
    """A coarser cube's number: a bit for each dimension that it is not by, as PostgreSQL's GROUPING has it."""
    return sum(1 << place for place, name in enumerate(reversed(tuple(DIMENSIONS))) if name not in grain)


def coarsest(asked: Collection[str]) -> int | None:
    """The number of the smallest cube that has all these dimensions; None when only the fine one has."""
    wanted = set(asked)
    return next((number_of(grain) for grain in GRAINS if wanted.issubset(grain)), None)


_COLUMNS = ", ".join(DIMENSIONS)


def _grouped(grain: Collection[str], value: str, source: str) -> str:
    # In order, so that the cells of a few months, which are read together, lie together on the disk as well.
    places = ", ".join(name if name in grain else f"'{TOTAL}' AS {name}" for name in DIMENSIONS)
    return f"""
        SELECT measure, {places}, sum({value}) AS value
        FROM {source} WHERE measure <> 'people' GROUP BY measure, {", ".join(grain)} HAVING sum({value}) <> 0
        ORDER BY measure, month, end_month
    """  # noqa: S608 (the names of the dimensions)


def _upsert(grain: Collection[str], counts: str) -> str:
    """Add counts (measure, every dimension, value) to a coarser cube."""
    return f"""
        INSERT INTO coarse_cubes AS kept (grain, key, measure, {_COLUMNS}, value)
        SELECT {number_of(grain)}, decode(md5(concat_ws('|', measure, {", ".join(grain)})), 'hex'), measure, {_COLUMNS}, value
        FROM ({counts}) AS counts (measure, {_COLUMNS}, value)
        ON CONFLICT (grain, key) DO UPDATE SET value = kept.value + excluded.value
    """  # noqa: S608 (the names of the dimensions)


async def _add(session: AsyncSession, value: str, source: str) -> None:
    # A statement for each cube: one for all, by GROUPING SETS, is sorted anew for each and takes many times as long.
    for grain in GRAINS:
        await session.execute(text(_upsert(grain, _grouped(grain, value, source))))


async def empty_tail(session: AsyncSession) -> None:
    """Delete it, as whoever knows every coarser cube may: the database refuses a copy of another version (migration 0033)."""
    known = text("SELECT set_config('sampan.coarser_cubes', :number, true)")
    await session.execute(known, {"number": str(len(GRAINS))})
    await session.execute(text("DELETE FROM cube_tail"))


async def roll(session: AsyncSession) -> None:
    """Add the tail to the coarser cubes, in a transaction of its own.

    It sees one snapshot, so what it adds is what it takes from the tail; of two at once one fails, and nothing is lost.
    """
    await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    await _add(session, "delta", "cube_tail")
    await empty_tail(session)


async def fill(session: AsyncSession) -> None:
    """Make all coarser cubes from the fine one; nobody may write meanwhile."""
    await empty_tail(session)
    await session.execute(text("DELETE FROM coarse_cubes"))
    await _add(session, "value", "cube")


def _differing(grain: Collection[str]) -> str:
    names = ", ".join(grain)
    return f"""
        SELECT measure, {names}, sum(fine) AS fine, sum(coarse) AS coarse FROM (
            SELECT measure, {names}, value AS fine, 0 AS coarse FROM ({_grouped(grain, "value", "cube")}) AS fine
            UNION ALL SELECT measure, {names}, 0, value FROM coarse_cubes WHERE grain = {number_of(grain)}
            UNION ALL SELECT measure, {names}, 0, value FROM ({_grouped(grain, "delta", "cube_tail")}) AS tail
        ) AS both_ways
        GROUP BY measure, {names} HAVING sum(fine) <> sum(coarse)
    """  # noqa: S608


async def unlike(session: AsyncSession) -> list[str]:
    """Cells in which a coarser cube with the tail is not what the fine one gives, in words; the first hundred."""
    found: list[str] = []
    for grain in GRAINS:
        rows = await session.execute(text(f"{_differing(grain)} ORDER BY measure LIMIT 100"))
        by = ", ".join(grain)
        found += [f"{row.measure} by {by} is {row.coarse}, and the fine cube gives {row.fine}" for row in rows]
    return found[:100]


async def put_right(session: AsyncSession) -> int:
    """Make the coarser cubes what the fine one gives, in a transaction of its own, as `roll`; how many cells were otherwise."""
    await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    corrected = 0
    for grain in GRAINS:
        places = ", ".join(name if name in grain else f"'{TOTAL}'" for name in DIMENSIONS)
        differing = f"SELECT measure, {places}, fine - coarse FROM ({_differing(grain)}) AS differing"  # noqa: S608
        statement = _upsert(grain, differing)
        corrected += len((await session.execute(text(f"{statement} RETURNING 1"))).all())
    return corrected


class Rolling:
    """Adds the tail to the coarser cubes whenever it is long, or nothing more comes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look every second until the block ends."""
        async with background(self._run()):
            yield

    async def _run(self) -> None:
        last = 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                last = await self.look(last)
            except Exception as error:
                log.warning("the coarser cubes wait: %s", describe(error))

    async def look(self, last: int) -> int:
        """Roll if the tail is long, or no longer than it was; how long it is."""
        count = text(f"SELECT count(*) FROM (SELECT FROM cube_tail LIMIT {LONGEST_TAIL}) AS tail")  # noqa: S608
        async with self._database.transaction() as session:
            length = int((await session.execute(count)).scalar_one())
        if not length or (length != last and length < LONGEST_TAIL):
            return length
        await self._database.run(roll, unhurried=True)
        async with self._database.engine.connect() as connection:  # what was deleted would be read past until then
            plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await plain.execute(text("VACUUM cube_tail"))
        return 0
