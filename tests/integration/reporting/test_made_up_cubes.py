"""The cubes that bench fills at once are those that the projector makes of the same facts."""

from typing import Any

from sqlalchemy import text

from bench import cube
from services.reporting import coarse
from services.reporting.domain import DIMENSIONS
from shared.database import Database
from tests.integration.reporting.conftest import empty
from tests.integration.reporting.test_projection import hear
from tests.unit.reporting.facts import known


async def cells(database: Database, table: str) -> dict[Any, int]:
    """What is in a cube, by its cells."""
    key = ", ".join(("measure", *DIMENSIONS, *(("grain",) if table == "coarse_cubes" else ("key",))))
    async with database.transaction() as session:
        rows = await session.execute(text(f"SELECT value, {key} FROM {table} WHERE value <> 0"))  # noqa: S608
        return {tuple(place): value for value, *place in rows}


async def test_a_filled_cube_is_what_the_projector_makes(database: Database, migrated: str) -> None:
    facts = [
        known(data)
        for rows in cube.cohorts(200)
        for of_kind in (rows.cohorts, rows.enrolments, rows.certificates)
        for data in of_kind.values()
    ]
    await hear(database, facts)
    async with database.transaction() as session:
        await coarse.roll(session)
    projected = [await cells(database, table) for table in ("cube", "coarse_cubes")]

    await empty(database)
    filled = await cube.fill(database, migrated.replace("+asyncpg", ""), 200)

    assert [await cells(database, table) for table in ("cube", "coarse_cubes")] == projected
    assert filled == len(projected[0]) > 1000
