"""What has moved in the cube, read for those who follow it: which figures, by how much, and up to which position."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

CHANNEL = "sampan_reporting_cube"
"""On which PostgreSQL tells everybody who listens that the cube has changed: a trigger on its version does."""


class Move(BaseModel):
    """All that moved from after one step of the cube up to another; a step is one transaction that changed it."""

    step: int
    since: int
    position: Mapping[str, int]
    time: datetime
    figures: Mapping[str, int | float]
    """By measure, how many more there are in all; 0 where only their places changed."""

    @cached_property
    def event(self) -> bytes:
        """As a Server-Sent Event, written once for all who read it."""
        return f"id: {self.step}\nevent: change\ndata: {self.model_dump_json()}\n\n".encode()


async def newest(connection: AsyncConnection) -> int:
    """The newest step; 0 when there is none."""
    return int((await connection.execute(text("SELECT max(number) FROM cube_version"))).scalar_one() or 0)


async def since(connection: AsyncConnection, step: int) -> Move | None:
    """Everything after a step as one move; None when nothing has moved since."""
    last = await newest(connection)
    if last <= step:
        return None
    rows = await connection.execute(text("SELECT stream, position FROM heard"))
    return Move(
        step=last, since=step, position={row.stream: row.position for row in rows}, time=datetime.now(UTC), figures={}
    )
