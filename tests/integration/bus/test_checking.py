"""A check waits for a stream that is being filled, and for none that stands still."""

import asyncio
from time import monotonic
from typing import cast

import pytest
from sqlalchemy import text

from shared import checking
from shared.bus import Bus, Delivery
from shared.checking import Checked, Findings, compare_journal, heard_facts, one_snapshot
from shared.database import Database
from tests.integration.bus.house import House, eventually, fact, say

FACTS = 8


class BeingFilled:
    """A bus of which the stream shows a fact more each quarter of a second, up to one that is not filled."""

    def __init__(self, bus: Bus, until: int) -> None:
        self._bus, self._until, self._began = bus, until, monotonic()

    async def last_sequence(self, stream: str) -> int:
        return min(await self._bus.last_sequence(stream), self._until, int((monotonic() - self._began) / 0.25))

    async def read(self, stream: str, first: int, last: int) -> list[Delivery]:
        return await self._bus.read(stream, first, last)


@pytest.fixture
async def owner(house: House, monkeypatch: pytest.MonkeyPatch) -> tuple[Database, Bus]:
    """A stream that is as long as its journal."""
    monkeypatch.setattr(checking, "BEHIND_SECONDS", 0.75)
    database, bus, _ = await house.publisher()
    await say(database, *[fact(f"c{n}", n) for n in range(FACTS)])
    await eventually(lambda: house.same(database))
    return database, bus


async def checked(database: Database, bus: Bus, until: int, *, own: bool) -> Checked:
    """What a check finds of the owner's journal, or of what somebody else has heard."""
    findings, filled = Findings(), cast(Bus, BeingFilled(bus, until))
    async with database.unhurried() as session:
        await one_snapshot(session)
        # As of a process that is paused; and it must not end a check that waits.
        await session.execute(text("SET LOCAL idle_in_transaction_session_timeout = '500ms'"))
        if own:
            await compare_journal(session, filled, findings, "ENROLMENT")
        else:
            async for _ in heard_facts(session, filled, findings, "ENROLMENT"):
                await asyncio.sleep(0)
    return findings.result()


@pytest.mark.parametrize("own", [True, False])
async def test_given_a_stream_that_grows_then_a_check_waits_until_it_is_whole(
    owner: tuple[Database, Bus], own: bool
) -> None:
    database, bus = owner
    await _heard(database)
    found = await checked(database, bus, FACTS, own=own)
    assert found.same, found.differences
    assert found.compared["messages of ENROLMENT"] == FACTS


@pytest.mark.parametrize("own", [True, False])
async def test_given_a_stream_that_nobody_fills_then_a_check_says_where_it_ends(
    owner: tuple[Database, Bus], own: bool
) -> None:
    database, bus = owner
    await _heard(database)
    found = await checked(database, bus, 3, own=own)
    assert found.differences[0].problem.startswith("ends at 3, ")


async def _heard(database: Database) -> None:
    async with database.transaction() as session:
        insert = "INSERT INTO heard (stream, position) VALUES ('ENROLMENT', :position)"
        await session.execute(text(insert), {"position": FACTS})
