"""Facts are applied once, also when stream, publisher or listener went back, and not when they are of another history."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from shared import scrubbing, subscriptions
from shared.database import Database
from shared.scrubbing import Scrubbing
from tests.integration.bus.house import House, applied, eventually, fact, numbers, say, stream
from tests.integration.bus.projector import all_acked, listener


async def test_a_stream_that_says_something_else_is_left_alone_and_said(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrubbing, "DIFFERS_SECONDS", 0.1)
    database, owner, _ = await house.publisher()
    await say(database, *[fact(f"c{n}", n) for n in range(1, 11)])
    await eventually(lambda: house.same(database))
    async with database.transaction() as session:
        await session.execute(text("UPDATE outbox SET body = replace(body, '}', ' }') WHERE position = 4"))
    reader = Scrubbing(database, owner, "ENROLMENT")
    async with reader.running():
        await eventually(lambda: any("differ at 4" in problem for problem in reader.health()))
        async with house.js() as js:
            assert len(await stream(js)) == 10
        async with database.transaction() as session:
            await session.execute(text("UPDATE outbox SET body = replace(body, ' }', '}') WHERE position = 4"))
        await eventually(lambda: not reader.health())


async def test_a_stream_made_anew_is_not_applied_twice(house: House) -> None:
    database, _, _ = await house.publisher()
    await say(database, *[fact(f"c{n}", n) for n in range(10)])
    projector, bus = await listener(house)
    await house.run(bus)
    await eventually(lambda: projector.at(10))
    async with house.js() as js:
        await js.delete_stream("ENROLMENT")
        await say(database, fact("c0", 10))
        await eventually(lambda: projector.at(11))
        await eventually(lambda: all_acked(js, 11))
    assert numbers(await applied(projector.database)) == list(range(11))
    await eventually(lambda: not bus.health())


@pytest.mark.parametrize("restart", [True, False])
async def test_a_database_that_went_back_in_time_is_caught_up(house: House, restart: bool) -> None:
    database, _, _ = await house.publisher()
    await say(database, *[fact(f"c{n}", n) for n in range(10)])
    projector, bus = await listener(house)
    async with bus.running():
        await eventually(lambda: projector.at(10))
        if not restart:
            await _go_back(projector.database, 4)
            await say(database, fact("c0", 10))
            await eventually(lambda: projector.at(11))
    if restart:
        await _go_back(projector.database, 4)
        projector, bus = await listener(house)
        await house.run(bus)
        await eventually(lambda: projector.at(10))
    assert numbers(await applied(projector.database)) == list(range(11 - restart))


async def _go_back(database: Database, position: int) -> None:
    async with database.transaction() as session:
        await session.execute(text("UPDATE heard SET position = :position"), {"position": position})
        await session.execute(text("DELETE FROM applied WHERE id > :position"), {"position": position})


async def test_given_the_publishers_database_went_back_when_the_stream_is_made_anew_then_its_other_facts_are_not_passed_over(
    house: House,
) -> None:
    """They come at positions that are taken for heard: nothing would tell that they were never applied."""
    database, _, relay = await house.publisher()
    await say(database, *[fact(f"c{n}", n) for n in range(8)])
    projector, bus = await listener(house)
    await house.run(bus)
    await eventually(lambda: projector.at(8))
    await say(database, *[fact(f"c{n}", n) for n in range(8, 12)])
    await eventually(lambda: projector.at(12))
    await _publisher_goes_back(house, database, 8)
    await eventually(lambda: any("journal at 8" in problem for problem in relay.health()))
    async with house.js() as js:
        await js.delete_stream("ENROLMENT")

    await eventually(lambda: any("ends at 8" in problem for problem in bus.health()))
    await say(database, *[fact(f"new{n}", 100 + n) for n in range(4)])
    await eventually(lambda: any("something else at 12" in problem for problem in bus.health()))
    await say(database, fact("one-more", 200))
    await eventually(lambda: house.same(database))
    assert await projector.at(12)
    assert numbers(await applied(projector.database)) == list(range(12))
    _, again = await listener(house)
    async with again.running():
        await eventually(lambda: any("something else at 12" in problem for problem in again.health()))


async def test_given_broker_and_publisher_went_back_under_a_listener_when_it_is_connected_again_then_it_hears_nothing_of_theirs(
    own_house: House, tmp_path: Path
) -> None:
    """The broker's consumers come back with its disk, and nobody starts the listener anew."""
    house = own_house
    database, _, _ = await house.publisher()
    projector, bus = await listener(house)
    await house.run(bus)
    await say(database, *[fact(f"c{n}", n) for n in range(8)])
    await eventually(lambda: projector.at(8))
    await _broker_stopped(house)
    shutil.copytree(house.server.folder, tmp_path / "before")
    house.server.start()
    await say(database, *[fact(f"c{n}", n) for n in range(8, 12)])
    await eventually(lambda: projector.at(12))

    await _broker_stopped(house)
    await _database_goes_back(database, 8)
    await say(database, *[fact(f"new{n}", 100 + n) for n in range(6)])
    shutil.rmtree(house.server.folder)
    shutil.copytree(tmp_path / "before", house.server.folder)
    house.server.start()

    await eventually(lambda: any("something else at 12" in problem for problem in bus.health()), seconds=30)
    assert await projector.at(12)
    assert numbers(await applied(projector.database)) == list(range(12))


async def test_given_a_stream_that_is_being_filled_when_it_grows_nothing_is_wrong_and_when_it_stands_still_it_is_said(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "STANDS_STILL_SECONDS", 1)
    database, _, _ = await house.publisher()
    await say(database, *[fact(f"c{n}", n) for n in range(4)])
    await eventually(lambda: house.same(database))
    projector, bus = await listener(house)
    async with projector.database.transaction() as session:
        await session.execute(text("INSERT INTO heard (stream, position) VALUES ('ENROLMENT', 6)"))
    await house.run(bus)
    for ends in (4, 5):
        said = f"ends at {ends}"
        await eventually(lambda said=said: any(said in problem for problem in bus.health()))
        await say(database, fact(f"c{ends}", ends))
        await eventually(lambda: not bus.health())
    await say(database, fact("c6", 6))
    await eventually(lambda: projector.at(7))
    assert numbers(await applied(projector.database)) == [6]


async def _broker_stopped(house: House) -> None:
    """Once everybody has seen it, so that nobody takes the next broker for this one."""
    house.server.stop()
    await eventually(lambda: all(not bus.connected for bus in house.buses))


async def _publisher_goes_back(house: House, database: Database, position: int) -> None:
    await _database_goes_back(database, position)
    house.end_lock_sessions()


async def _database_goes_back(database: Database, position: int) -> None:
    async with database.transaction() as session:
        await session.execute(text("DELETE FROM outbox WHERE position > :position"), {"position": position})
        await session.execute(text("DELETE FROM things WHERE revision > 0"))
        await session.execute(text("UPDATE outbox_head SET position = :position"), {"position": position})


@pytest.mark.parametrize("last", [None, "9 of-before"], ids=["of before the column", "an older copy went on"])
async def test_given_nothing_is_known_of_the_last_fact_when_the_listener_starts_then_it_goes_on(
    house: House, last: str | None
) -> None:
    database, _, _ = await house.publisher()
    await say(database, *[fact(f"c{n}", n) for n in range(10)])
    projector, bus = await listener(house)
    async with bus.running():
        await eventually(lambda: projector.at(10))
    async with projector.database.transaction() as session:
        await session.execute(text("UPDATE heard SET last = :last"), {"last": last})
    await say(database, fact("more", 10))
    _, again = await listener(house)
    await house.run(again)
    await eventually(lambda: projector.at(11))
