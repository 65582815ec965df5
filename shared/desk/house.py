"""What every desk's pages need of their service, and the pages that are the same on each."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from shared.database import Database
from shared.desk.entries import Entry, Said, entry
from shared.desk.frame import Desk, Visit
from shared.desk.guide import GUIDE
from shared.events.codes import Model
from shared.events.receipts import Receipts
from shared.events.wire import Raw
from shared.http import Problem
from shared.offices import Caller

OPEN = 20
"""Entries of each kind on the first page; the rest has a page of its own."""
Suggestions = Mapping[str, Sequence[tuple[str, Mapping[str, str]]]]
"""By the name of a list: codes with their titles."""


class Overview(Protocol):
    """What a service's room ``overview`` answers."""

    async def entries(
        self, session: AsyncSession, caller: Caller, *, status: str | None, before: int | None, limit: int
    ) -> list[Said]: ...

    async def suggestions(self, session: AsyncSession, caller: Caller) -> Suggestions: ...

    async def sees_cohort(self, session: AsyncSession, caller: Caller, cohort: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Ways:
    """Where an entry leads: the code of its cohort, and the id of what it corrects or withdraws."""

    cohort: str | None
    target: str | None


@dataclass(frozen=True)
class House:
    """What the pages need of their service."""

    database: Database
    types: Mapping[str, type[Model]]
    may_say: Callable[[Caller], frozenset[str]]
    codes: Mapping[str, str]
    take: Callable[[Sequence[Raw], Caller], Awaitable[Receipts]]
    event: Callable[[AsyncSession, Caller, str, str], Awaitable[Any]]
    overview: Overview

    async def open_entries(self, session: AsyncSession, caller: Caller) -> dict[str, list[Entry]]:
        """What waits and what has to be decided, the oldest last."""
        may_say = self.may_say(caller)
        return {
            status: [
                entry(said.answered, self.codes, may_say)
                for said in await self.overview.entries(session, caller, status=status, before=None, limit=OPEN)
            ]
            for status in ("waiting", "conflict")
        }

    async def said_at(self, caller: Caller, source: str, event: str) -> datetime | None:
        """When a form that was sent before said that it happened: pressing twice, seconds apart, says the same."""
        async with self.database.transaction() as session:
            found = await self.event(session, caller, source, event)
        return entry(found, self.codes, self.may_say(caller)).time if found else None

    async def found(self, visit: Visit, source: str, event: str) -> Any:
        """One of the caller's own events, with its history. Raises ``Problem`` 404."""
        async with self.database.transaction() as session:
            found = await self.event(session, visit.caller, source, event)
        if found is None:
            raise Problem(404, "not_found", "")
        return found

    async def leads_to(self, visit: Visit, one: Entry) -> Ways:
        """Which of the things that an entry names there are, and may be seen by who looks at it."""
        cohort = one.data.get("cohort")
        async with self.database.transaction() as session:
            target = await self.event(session, visit.caller, one.source, one.target) if one.target else None
            seen = cohort is not None and await self.overview.sees_cohort(session, visit.caller, cohort)
        return Ways(cohort if seen else None, one.target if target else None)


def show_guide(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    """The page at /guide."""

    async def guide(request: Request) -> Response:
        return desk.page(request, await desk.visit(request), "guide.html", guide=GUIDE)

    return guide
