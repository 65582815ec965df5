"""Reporting's HTTP: periods, their targets, and the versions of their reports."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting import periods
from services.reporting.explain_api import Turns
from services.reporting.periods import NoSuchPeriod, PeriodReport, Periods, PeriodState, Unchanged
from shared.audit import Act, Audit
from shared.database import Database
from shared.events.codes import Text
from shared.http import Problem
from shared.lists import known_parameters
from shared.offices import Caller, Doorkeeper
from shared.openapi import refusals


class Closing(BaseModel):
    """Why a version is made; a restatement should say."""

    reason: Text | None = None


def routes(database: Database, door: Doorkeeper, audit: Audit, turns: Turns) -> APIRouter:
    """The addresses of periods; ``turns`` are those of explanations."""
    router = APIRouter()
    asked = Annotated[Caller, Depends(door.open)]

    @router.get("/v1/periods", dependencies=[Depends(door.open), Depends(known_parameters)], responses=refusals(400))
    async def every() -> Periods:
        """Every programme's periods, with what it meant to reach in each and what it reached."""
        async with database.snapshot() as session:
            return await periods.every(session)

    @router.get("/v1/periods/{period}")
    async def one(period: str, _: asked) -> PeriodState:
        """A period (`<programme>.<period>`), its versions, and how the figures of now differ from the last of them, and why."""
        async with turns.one(), database.snapshot() as session:
            try:
                return await periods.one(session, period)
            except NoSuchPeriod:
                raise _unknown() from None

    @router.get("/v1/periods/{period}/versions/{number}")
    async def version(period: str, number: int, _: asked) -> PeriodReport:
        """A version of a period's report, as it was published."""
        if "\0" in period:  # the database has no text with one
            raise _unknown()
        async with database.transaction() as session:
            try:
                return await periods.version(session, period, number)
            except NoSuchPeriod:
                raise _unknown() from None

    async def may_close(caller: Caller, period: str) -> bool:
        if caller.administrator or caller.source is None or "coordinator" not in caller.roles:
            return caller.administrator
        async with database.transaction() as session:
            return await periods.coordinates(session, caller.source, period)

    @router.post("/v1/periods/{period}/close", status_code=201, responses=refusals(403, 409))
    async def close(period: str, caller: asked, closing: Closing | None = None) -> PeriodReport:
        """Publish what is known now as the period's next version: the first closes it, a later one restates it.

        For the administrator, and an office that coordinates the programme. 409 when the last version says the same.
        """
        if "\0" in period:  # the database has no text with one
            raise _unknown()
        if not await may_close(caller, period):
            raise Problem(
                403, "coordinators_only", "Only the administrator and the programme's coordinator may do this."
            )

        async def work(session: AsyncSession) -> PeriodReport:
            reason = None if closing is None else closing.reason
            made = await periods.close(session, period, caller.postedby, reason)
            await audit.record(session, Act(caller, "period.closed", subject=period))
            return made

        try:
            async with turns.one():
                return await database.run(work)
        except NoSuchPeriod:
            raise _unknown() from None
        except Unchanged:
            raise Problem(
                409, "unchanged", "The last version says what would be said now: there is nothing to restate."
            ) from None
        except IntegrityError:
            raise Problem(409, "unchanged", "Somebody else has just made this version: look at it first.") from None

    return router


def _unknown() -> Problem:
    return Problem(404, "no_such_period", "There is no such period or version: see GET /v1/periods.")
