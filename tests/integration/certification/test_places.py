"""Places in status lists, given out to several transactions at a time."""

import asyncio

import pytest

from services.certification import places
from services.certification.places import free_places
from shared.database import Database


@pytest.mark.parametrize("full", [True, False], ids=["the newest list is full", "there is no list"])
async def test_a_list_that_two_would_make_at_a_time_is_made_once_for_both(
    database: Database, monkeypatch: pytest.MonkeyPatch, *, full: bool
) -> None:
    monkeypatch.setattr(places, "LIST_FULL", 4)

    async def taken(number: int) -> list[int]:
        async with database.transaction() as session:
            return [list_ for list_, _ in await free_places(session, number)]

    if full:
        assert await taken(4) == [1] * 4
    async with database.transaction() as session:
        first = [list_ for list_, _ in await free_places(session, 2)]
        second = asyncio.create_task(taken(3))
        done, _ = await asyncio.wait([second], timeout=1)
        assert not done, "it waits for how many are left"
    assert first + await second == ([2, 2, 2, 2, 3] if full else [1, 1, 1, 1, 2])
