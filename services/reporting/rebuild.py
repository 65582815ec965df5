"""Emptying the read side, so that it is made anew from the streams.

Nothing more is needed than to say that nothing was heard: the bus notices and hears both streams again from their beginning.
Offices and their tokens stay, so nobody is locked out meanwhile.
"""

import logging
from collections.abc import Awaitable, Callable

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting.ledger import STREAMS
from services.reporting.projection import lock_projection
from shared.batches import advance_heard, lock_heard
from shared.bus import Extent

log = logging.getLogger(__name__)


class Rebuild(BaseModel):
    """How far a rebuild must come, and the cube's fingerprint as it was there."""

    until: dict[str, int]
    cube: str


_OF_CUBE = ("cube", "cube_steps", "cube_changes", "cube_tail", "coarse_cubes")

Look = Callable[[str], Awaitable[Extent]]
"""What a stream holds now."""


class NotWhole(Exception):
    """A stream no longer holds all that was heard of it; the text says which one and what to do."""


class UnderWay(Exception):
    """The last rebuild is not done yet."""


async def rebuild(session: AsyncSession, look: Look) -> Rebuild:
    """Empty rows and cube, and go back to the beginning of both streams. Raises UnderWay, and NotWhole before it is too late.

    Facts that are dead letters are in the streams too: they are tried again, and come back if they fail.
    """
    until = {stream: await lock_heard(session, stream) for stream in sorted(STREAMS)}
    await lock_projection(session)
    if await lacking(session):
        raise UnderWay
    for stream, position in until.items():
        if missing := _missing(await look(stream), position):
            raise NotWhole(
                f"{stream} no longer holds all that was heard of it: {missing}. Nothing was emptied. "
                "Delete the stream, so that it is made anew from its journal, and then rebuild."
            )
    before = Rebuild(until=until, cube=await fingerprint(session))
    # Not TRUNCATE: whoever reads meanwhile keeps the figures that they began with, and waits for nothing.
    for table in (
        "cohorts",
        "enrolments",
        "certificates",
        "registered",
        "past_facts",
        *_OF_CUBE,
        "dead_letters",
        "rebuilds",
    ):
        await session.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - these names
    for stream, position in until.items():
        await advance_heard(session, stream, 0)
        await session.execute(
            text("INSERT INTO rebuilds (stream, until) VALUES (:stream, :until)"), {"stream": stream, "until": position}
        )
    log.warning("the read side is rebuilt up to %s", until)
    return before


def _missing(there: Extent, heard: int) -> str | None:
    if there.last < heard:
        return f"it ends at {there.last}, and {heard} was heard"
    if there.last and there.first > 1:
        return f"it begins at {there.first}"
    if gone := there.last - there.messages:
        return f"{gone} of its messages are deleted"
    return None


async def lacking(session: AsyncSession) -> list[str]:
    """What a rebuild has still to hear, in plain words; empty when none is under way."""
    rows = await session.execute(
        text(
            """
            SELECT stream, position, until FROM rebuilds JOIN heard USING (stream)
            WHERE position < until ORDER BY stream
            """
        )
    )
    return [f"rebuilding: {row.stream} is heard up to {row.position} of {row.until}" for row in rows]


async def fingerprint(session: AsyncSession) -> str:
    """The same for equal cubes, and for others practically never."""
    row = (
        await session.execute(
            text(
                """
                SELECT count(*) AS cells, coalesce(sum(hashtextextended(encode(key, 'hex') || value, 0)::numeric), 0) AS hashes
                FROM cube WHERE value <> 0
                """
            )
        )
    ).one()
    return f"{row.cells} cells, {row.hashes}"
