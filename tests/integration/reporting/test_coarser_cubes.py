"""Coarser cubes: what is read from them and the tail is what the fine one holds."""

import asyncio
from collections.abc import Collection
from time import monotonic

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.reporting import coarse, dashboard, queries
from services.reporting.coarse import GRAINS, Rolling, coarsest, number_of
from services.reporting.domain import DIMENSIONS
from services.reporting.questions import Question
from shared.database import Database
from tests.integration.reporting.test_aggregates import a_history
from tests.integration.reporting.test_projection import hear
from tests.servers import migrate
from tests.unit.reporting.facts import a_cohort, known


async def unlike(database: Database) -> list[str]:
    async with database.transaction() as session:
        return await coarse.unlike(session)


async def number(database: Database, table: str) -> int:
    async with database.transaction() as session:
        return int((await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())  # noqa: S608


@pytest.mark.parametrize("change", ["DELETE FROM coarse_cubes", "UPDATE cube_tail SET delta = 0"])
async def test_a_coarser_cube_that_was_tampered_with_is_found(database: Database, change: str) -> None:
    await hear(database, a_history()[:5])
    async with database.transaction() as session:
        await coarse.roll(session)
    await hear(database, a_history())
    assert await unlike(database) == []
    async with database.transaction() as session:
        await session.execute(text(f"{change} WHERE measure = 'completed'"))
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
    assert coarsest(["sex", "end_month"]) == number_of(("programme", "sex", "end_month"))
    assert coarsest(["country", "month"]) == number_of(("programme", "country", "host_country", "sex", "month"))
    assert coarsest(["trade", "sex", "sending_centre"]) is not None
    assert coarsest(["month", "end_month", "sex"]) is not None, "by month, of cohorts that end in some months"
    assert coarsest(["cohort"]) is None
    assert coarsest(["mode", "month"]) is None
    assert len({number_of(grain) for grain in GRAINS}) == len(GRAINS)
    assert number_of(DIMENSIONS) == 0


@pytest.mark.parametrize(
    ("chosen", "value"),
    [
        ("trade", "cabling"),
        ("sending_centre", "ntti"),
        ("host_centre", "wit"),
        ("scheme", "vslc"),
        ("country", "KH"),
        ("sex", "F"),
    ],
)
async def test_the_first_page_narrowed_to_one_thing_reads_no_cohorts_cells(
    database: Database, chosen: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[set[str]] = []
    choose = coarse.coarsest

    def noted(dimensions: Collection[str]) -> int | None:
        asked.append(set(dimensions))
        return choose(dimensions)

    await hear(database, a_history())
    queries.cube_of.cache_clear()  # or nothing would be chosen anew
    monkeypatch.setattr(coarse, "coarsest", noted)
    question = Question(where=((chosen, (value,)),))
    async with database.transaction() as session:
        await dashboard.gather(session, question, {"ENROLMENT": 1, "CERTIFICATION": 1})
    assert len(asked) > 5
    assert [one for one in asked if "cohort" not in one and choose(one) is None] == []


async def test_an_update_makes_the_cubes_that_are_new_and_leaves_the_tail(database: Database, migrated: str) -> None:
    await hear(database, a_history()[:5])
    async with database.transaction() as session:
        await coarse.roll(session)
    await hear(database, a_history())
    place, all_ = ("programme", "country", "host_country", "sex"), ("programme", "sex")
    new = [(*place, "month", "end_month"), all_, (*all_, "month"), (*all_, "end_month")]
    async with database.transaction() as session:
        without = text("DELETE FROM coarse_cubes WHERE grain = ANY(:new)")
        await session.execute(without, {"new": [number_of(grain) for grain in new]})
        await session.execute(text("UPDATE alembic_version SET version_num = '0032'"))
    assert await unlike(database) != []
    await asyncio.to_thread(migrate, "reporting", migrated)
    assert await number(database, "cube_tail") > 0
    assert await unlike(database) == []


async def test_what_a_copy_of_the_version_before_rolls_during_an_update_is_in_the_new_cubes(
    database: Database, migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a copy of the version before that knows three cubes less, in the middle of rolling
    await hear(database, a_history())
    old, new = GRAINS[3:], [number_of(grain) for grain in GRAINS[:3]]
    async with database.transaction() as session:
        await session.execute(text("DELETE FROM coarse_cubes WHERE grain = ANY(:new)"), {"new": new})
        function = "CREATE OR REPLACE FUNCTION tail_is_for_every_cube() RETURNS trigger LANGUAGE plpgsql AS"
        await session.execute(text(f"{function} $$ BEGIN RETURN NULL; END $$"))
        await session.execute(text("UPDATE alembic_version SET version_num = '0034'"))
    async with database.transaction() as session:
        with monkeypatch.context() as before_the_update:
            before_the_update.setattr(coarse, "GRAINS", old)
            await coarse.roll(session)
        # when the update comes, and has to wait for it
        updating = asyncio.create_task(asyncio.to_thread(migrate, "reporting", migrated))
        deadline = monotonic() + 20
        while not await number(database, "pg_locks WHERE NOT granted AND relation = 'coarse_cubes'::regclass"):
            assert monotonic() < deadline
            await asyncio.sleep(0.02)
    await updating
    # then nothing is missing
    assert await unlike(database) == []
    await database.run(coarse.roll)
    assert await unlike(database) == []


async def test_a_copy_that_does_not_know_every_cube_leaves_the_tail(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hear(database, a_history())
    with monkeypatch.context() as before_the_upgrade:
        before_the_upgrade.setattr(coarse, "GRAINS", GRAINS[:-1])
        with pytest.raises(DBAPIError, match="copy of another version"):
            await database.run(coarse.roll)
    assert await unlike(database) == []
    await database.run(coarse.roll)
    assert await number(database, "cube_tail") == 0
    assert await unlike(database) == []


async def test_an_update_makes_the_coarser_cubes_anew(database: Database, migrated: str) -> None:
    await hear(database, a_history())
    async with database.transaction() as session:
        await session.execute(text("UPDATE cube_tail SET delta = delta + 1"))
        await session.execute(text("DROP TRIGGER for_every_cube ON cube_tail"))
        await session.execute(text("UPDATE alembic_version SET version_num = '0031'"))
    await asyncio.to_thread(migrate, "reporting", migrated)
    assert await number(database, "cube_tail") == 0 < await number(database, "coarse_cubes")
    assert await unlike(database) == []
