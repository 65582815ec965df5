"""The audit trail over HTTP: for administrators, who are recorded in it too."""

from typing import Annotated

from fastapi import APIRouter, Query

from shared.audit import ACTIONS, SUBJECT_PATTERN, Audit, AuditLine, Head
from shared.database import Database
from shared.events.codes import CODE_PATTERN, SOURCE_PATTERN
from shared.http import Problem
from shared.lists import Page, Paged


def add_routes(router: APIRouter, database: Database, audit: Audit) -> None:
    """Add the trail's addresses to a router that lets only administrators in."""

    @router.get("/audit")
    async def trail(
        paging: Paged,
        office: Annotated[str | None, Query(pattern=SOURCE_PATTERN)] = None,
        officer: Annotated[str | None, Query(pattern=CODE_PATTERN)] = None,
        action: Annotated[str | None, Query(description=f"One of {', '.join(ACTIONS)}.", max_length=63)] = None,
        subject: Annotated[str | None, Query(pattern=f"^{SUBJECT_PATTERN}$")] = None,
    ) -> Page[AuditLine]:
        """Who did what, oldest first: each act with the digest of the trail up to it."""
        if action is not None and action not in ACTIONS:
            raise Problem(400, "invalid_query", f"action: one of {', '.join(ACTIONS)}.")
        only = {"office": office, "officer": officer, "action": action, "subject": subject}
        async with database.transaction() as session:
            found = await audit.lines(session, paging.number, paging.limit + 1, only)
        return paging.page(found, lambda line: str(line.place))

    @router.get("/audit/head")
    async def trail_head() -> Head:
        """How far the audit trail reaches, and its digest there.

        Write it down elsewhere: later the row of that place must have the same digest.
        """
        async with database.transaction() as session:
            return await audit.head(session)
