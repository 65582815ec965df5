"""Coarser cubes: what is read from them and the tail is what the fine one holds."""

import pytest
from sqlalchemy import text

from services.reporting import coarse
from services.reporting.coarse import GRAINS, Rolling, coarsest, number_of
from services.reporting.domain import DIMENSIONS
from shared.database import Database
from tests.integration.reporting.test_aggregates import a_history
from tests.integration.reporting.test_projection import hear
from tests.unit.reporting.facts import a_cohort, known


async def unlike(database: Database) -> list[str]:
    async with database.transaction() as session:
        return await coarse.unlike(session)


async def number(database: Database, table: str) -> int:
    async with database.transaction() as session:
        return int((await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())  # noqa: S608


@pytest.mark.parametrize("of", ["coarse_cubes", "cube_tail"])
async def test_a_coarser_cube_that_was_tampered_with_is_found(database: Database, of: str) -> None:
    await hear(database, a_history()[:5])
    async with database.transaction() as session:
        await coarse.roll(session)
    await hear(database, a_history())
    assert await unlike(database) == []
    async with database.transaction() as session:
        await session.execute(text(f"DELETE FROM {of} WHERE measure = 'completed'"))  # noqa: S608
    assert "completed by programme" in (await unlike(database))[0]


async def test_the_tail_is_rolled_once_nothing_more_comes(database: Database) -> None:
    rolling = Rolling(database)
    await hear(database, a_history())
    length = await rolling.look(0)
    assert length == await number(database, "cube_tail") > 0
    await hear(database, [known(a_cohort(status="void"), revision=2)])
    longer = await rolling.look(length)
    assert longer > length
    assert await rolling.look(longer) == 0 == await number(database, "cube_tail")
    assert await unlike(database) == []
    assert await rolling.look(0) == 0


async def test_coarser_cubes_can_be_made_from_the_fine_one(database: Database) -> None:
    await hear(database, a_history())
    async with database.transaction() as session:
        await coarse.fill(session)
    assert await number(database, "cube_tail") == 0
    assert await unlike(database) == []


def test_the_smallest_cube_that_knows_all_that_is_asked_is_chosen() -> None:
    assert coarsest([]) == number_of(GRAINS[0])
    assert coarsest(["country", "month"]) == number_of(("programme", "country", "host_country", "sex", "month"))
    assert coarsest(["cohort"]) is None
    assert coarsest(["age_band", "month"]) is None
    assert len({number_of(grain) for grain in GRAINS}) == len(GRAINS)
    assert number_of(DIMENSIONS) == 0
