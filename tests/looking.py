"""Rosters that are held in the middle of being looked at, to see who waits for them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from shared.events.receipts import Receipt
from shared.events.wire import Raw
from shared.offices import Caller
from shared.rosterdesk import Asked, Desk, Takes
from shared.rosters.answers import RosterAnswer
from shared.rosters.books import open_book
from shared.uploads import taken

T = TypeVar("T")
SECONDS = 15
"""How long whoever must not wait may take on a busy machine."""


@dataclass
class Held:
    """A service's handlers. Some rows were taken when it is ``reached``; the next are only once they ``may_go_on``."""

    handlers: Takes
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    calls: int = 0

    async def take_within(
        self, session: AsyncSession, raws: Sequence[Raw], caller: Caller, *, publishing: bool, telling: bool = False
    ) -> Sequence[Receipt]:
        self.calls += 1
        if self.calls > 1:
            self.reached.set()
            await self.may_go_on.wait()
        return await self.handlers.take_within(session, raws, caller, publishing=publishing, telling=telling)

    async def run(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        return await self.handlers.run(work)


@asynccontextmanager
async def held_in_the_middle(desk: Desk, content: bytes, asked: Asked) -> AsyncIterator["asyncio.Task[RosterAnswer]"]:
    """A look at a roster that goes on, to its end, only after this block."""
    held = Held(desk.handlers)

    async def look() -> RosterAnswer:
        answer, _ = await taken(replace(desk, handlers=held), open_book(content), replace(asked, dry_run=True))
        return answer

    looking = asyncio.create_task(look())
    try:
        await asyncio.wait_for(held.reached.wait(), SECONDS)
        yield looking
    finally:
        held.may_go_on.set()
        await looking
