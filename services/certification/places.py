"""Places in status lists: each attestation has one, at random among the free ones, and its bit follows from its standing."""

import secrets
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.certification.standings import UNSET

LIST_PLACES: Final = 2**17
"""Bits of one status list: so many that a look at the list tells nobody which certificate is looked up."""
LIST_FULL: Final = LIST_PLACES * 3 // 4
"""From here on new certificates go to the next list: while places are free, a random one is found at once."""


async def free_places(session: AsyncSession, number: int) -> list[tuple[int, int]]:
    """Random free bits of the newest list, and of new ones when that is full enough."""
    found: list[tuple[int, int]] = []
    while len(found) < number:
        rows = await session.execute(text("SELECT list, taken FROM status_lists ORDER BY list DESC LIMIT 1 FOR UPDATE"))
        newest = rows.one_or_none()
        list_, taken = (newest.list, newest.taken) if newest else (0, LIST_FULL)
        if taken >= LIST_FULL:
            # Whoever was waited for may have made it, and taken places in it: it is read like any other.
            await session.execute(
                text("INSERT INTO status_lists (list, taken, version) VALUES (:list, 0, 1) ON CONFLICT DO NOTHING"),
                {"list": list_ + 1},
            )
            continue
        wanted = min(number - len(found), LIST_FULL - taken)
        free = await _some_free(session, list_, wanted)
        found += [(list_, place) for place in free]
        await session.execute(
            text("UPDATE status_lists SET taken = taken + :taken WHERE list = :list"),
            {"taken": len(free), "list": list_},
        )
    return found


async def _some_free(session: AsyncSession, list_: int, number: int) -> list[int]:
    """A quarter of the places is always free, so a few rounds find enough."""
    random, free = secrets.SystemRandom(), set[int]()
    while len(free) < number:
        tried = set(random.sample(range(LIST_PLACES), min(LIST_PLACES, 2 * number + 16)))
        rows = await session.execute(
            text("SELECT place FROM attestations WHERE list = :list AND place = ANY(:places)"),
            {"list": list_, "places": list(tried)},
        )
        free |= tried - set(rows.scalars())
    return random.sample(sorted(free), number)


async def set_places(session: AsyncSession, list_: int) -> dict[int, str]:
    """The places of a status list whose bits are set, with the standing that sets them: what nobody should accept."""
    rows = await session.execute(
        text("SELECT place, status FROM attestations WHERE list = :list AND NOT (status = ANY(:unset)) ORDER BY place"),
        {"list": list_, "unset": sorted(UNSET)},
    )
    return {row.place: row.status for row in rows}
