"""Coarser cubes beside the fine one: the same counts without cohorts, each by the few dimensions that are asked for together.

What the projector adds to the fine cube it also puts down in a tail, in the same transaction; now and then the tail is added to
the coarser cubes. A reader takes a coarser cube and the tail together, so what they read is always that of the fine cube. Adding
thousands of changes at once costs a small part of adding each: most are of the same few cells.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

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

_PLACE = ("programme", "country", "host_country")
_WHEN: tuple[tuple[str, ...], ...] = ((), ("month",), ("end_month",))
GRAINS: tuple[tuple[str, ...], ...] = (
    *((*_PLACE, "sex", *when) for when in _WHEN),
    (*_PLACE, "start_month"),
    (*_PLACE, "outcome", "months_after", "sex"),
    *((*_PLACE, "outcome", "months_after", *when) for when in _WHEN[1:]),
    (*_PLACE, "trade", "mode"),
    (*_PLACE, "scheme", "occupation", "level", "sex"),
    *((*_PLACE, "scheme", "level", *when) for when in _WHEN[1:]),
    (*_PLACE, "trade", "role", "sex"),
    *((*_PLACE, "trade", *when) for when in _WHEN[1:]),
    (*_PLACE, "role", "age_band", "disability", "sex"),
    *(("programme", "country", "role", "sex", *when) for when in _WHEN[1:]),
    (*_PLACE, "sending_centre", "host_centre"),
    *(("programme", "country", "sending_centre", *when) for when in _WHEN[1:]),
    *(("programme", "host_country", "host_centre", *when) for when in _WHEN[1:]),
)
"""The coarser cubes by their dimensions, the smaller ones before the larger; none knows cohorts."""


_USED = tuple(name for name in DIMENSIONS if any(name in grain for grain in GRAINS))


def number_of(grain: Collection[str]) -> int:
    """A coarser cube's number: PostgreSQL's GROUPING over the dimensions that any of them has."""
    return sum(1 << place for place, name in enumerate(reversed(_USED)) if name not in grain)


def coarsest(asked: Collection[str]) -> int | None:
    """The number of the smallest cube that has all these dimensions; None when only the fine one has."""
    wanted = set(asked)
    return next((number_of(grain) for grain in GRAINS if wanted.issubset(grain)), None)


_COLUMNS = ", ".join(DIMENSIONS)
_SETS = ", ".join(f"(measure, {', '.join(grain)})" for grain in GRAINS)
_VALUES = ", ".join(
    f"coalesce({name}, '{TOTAL}') AS {name}" if name in _USED else f"'{TOTAL}' AS {name}" for name in DIMENSIONS
)
_GROUPED = f"""
    SELECT GROUPING({", ".join(_USED)}) AS grain, measure, {_VALUES}, sum({{value}}) AS value
    FROM {{source}} WHERE measure <> 'people' GROUP BY GROUPING SETS ({_SETS}) HAVING sum({{value}}) <> 0
"""  # noqa: S608 (the names of the dimensions)
_KEYED = f"""
    INSERT INTO coarse_cubes AS kept (grain, key, measure, {_COLUMNS}, value)
    SELECT grain, decode(md5(concat_ws('|', measure, {_COLUMNS})), 'hex'), measure, {_COLUMNS}, value
    FROM ({{grouped}}) AS grouped
    ON CONFLICT (grain, key) DO UPDATE SET value = kept.value + excluded.value
"""  # noqa: S608
_ROLL = f"""
    WITH taken AS (DELETE FROM cube_tail RETURNING *)
    {_KEYED.format(grouped=_GROUPED.format(value="delta", source="taken"))}
"""  # noqa: S608


async def roll(session: AsyncSession) -> None:
    """Add the tail to the coarser cubes. Two at once do not hurt: what one takes the other does not find."""
    await session.execute(text(_ROLL))


async def fill(session: AsyncSession) -> None:
    """Make all coarser cubes from the fine one; nobody may write meanwhile."""
    await session.execute(text("DELETE FROM cube_tail"))
    await session.execute(text("DELETE FROM coarse_cubes"))
    await session.execute(text(_KEYED.format(grouped=_GROUPED.format(value="value", source="cube"))))


async def unlike(session: AsyncSession) -> list[str]:
    """Cells in which a coarser cube with the tail is not what the fine one gives, in words; the first hundred."""
    grouped = _GROUPED.format(value="value", source="cube")
    tail = _GROUPED.format(value="delta", source="cube_tail")
    rows = await session.execute(
        text(
            f"""
            SELECT grain, measure, {_COLUMNS}, sum(fine) AS fine, sum(coarse) AS coarse FROM (
                SELECT grain, measure, {_COLUMNS}, value AS fine, 0 AS coarse FROM ({grouped}) AS fine
                UNION ALL SELECT grain, measure, {_COLUMNS}, 0, value FROM coarse_cubes
                UNION ALL SELECT grain, measure, {_COLUMNS}, 0, value FROM ({tail}) AS tail
            ) AS both_ways
            GROUP BY grain, measure, {_COLUMNS} HAVING sum(fine) <> sum(coarse)
            ORDER BY grain, measure LIMIT 100
            """  # noqa: S608
        )
    )
    return [
        f"{row.measure} by {', '.join(name for name in DIMENSIONS if getattr(row, name) != TOTAL)} is {row.coarse}, "
        f"and the fine cube gives {row.fine}"
        for row in rows
    ]


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
            rolled = length and (length == last or length >= LONGEST_TAIL)
            if rolled:
                await roll(session)
        if not rolled:
            return length
        async with self._database.engine.connect() as connection:  # what was deleted would be read past until then
            plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await plain.execute(text("VACUUM cube_tail"))
        return 0
