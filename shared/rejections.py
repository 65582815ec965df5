"""What was rejected, over HTTP: for administrators, and whoever reads a body is written into the audit trail."""

from datetime import datetime
from typing import Annotated, Any

from cryptography.exceptions import InvalidTag
from fastapi import APIRouter, Depends
from pydantic import BaseModel

from shared.audit import Act, Audit
from shared.database import Database
from shared.http import Problem
from shared.lists import Number, Page, Paged
from shared.offices import Caller, Doorkeeper
from shared.openapi import refusals
from shared.rejected import Rejected, RejectedBodies


class RejectedLine(BaseModel):
    """What was rejected of one body, by its codes; kept until ``expires``."""

    id: int
    source: str | None
    postedby: str
    codes: list[str]
    recordedtime: datetime
    expires: datetime

    @classmethod
    def of(cls, rejected: Rejected) -> "RejectedLine":
        return cls.model_validate(rejected, from_attributes=True)


class RejectedEvent(BaseModel):
    """One rejected event as it came, which may hold personal details; ``place`` is where in the body it stood."""

    place: int
    code: str
    event: dict[str, Any]


class OpenRejected(RejectedLine):
    """The same with what was rejected."""

    events: list[RejectedEvent]


def rejections(database: Database, door: Doorkeeper, bodies: RejectedBodies, audit: Audit) -> APIRouter:
    """The addresses of one service's rejected bodies."""

    router = APIRouter(prefix="/v1", dependencies=[Depends(door.administrator)], responses=refusals(403))

    @router.get("/rejected")
    async def rejected(paging: Paged) -> Page[RejectedLine]:
        """What was rejected, oldest first, without what it said."""
        async with database.transaction() as session:
            found = await bodies.entries(session, paging.number, paging.limit + 1)
        return paging.page([RejectedLine.of(line) for line in found], lambda line: str(line.id))

    @router.get("/rejected/{number}", responses=refusals(409))
    async def rejected_body(number: Number, caller: Annotated[Caller, Depends(door.administrator)]) -> OpenRejected:
        """What was rejected of one body, as it came: whoever reads it is written into the audit trail."""
        async with database.transaction() as session:
            lines = await bodies.entries(session, number - 1, 1)
            try:
                events = await bodies.events(session, number)
            except InvalidTag:
                raise Problem(
                    409,
                    "sealed_otherwise",
                    f"Body {number} was sealed with another secret than this service has now. Put that one back to read it.",
                ) from None
            if events is None or not lines or lines[0].id != number:
                raise Problem(404, "not_found", "There is no such rejected body (any more): it was kept long enough.")
            await audit.record(session, Act(caller, "rejected.read", str(number)))
        line = RejectedLine.of(lines[0])
        return OpenRejected(**line.model_dump(), events=[RejectedEvent.model_validate(event) for event in events])

    return router
