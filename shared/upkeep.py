"""The administrator's doors, the same at every service: dead letters, the audit trail, the check of what the service holds."""

import base64
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from shared import trail
from shared.audit import Act, Audit
from shared.bus import BrokerAway, Bus
from shared.checking import Checked, Findings, one_snapshot
from shared.database import Database, is_transient
from shared.deadletters import DeadLetter, DeadLetters, Unreadable, describe
from shared.http import RETRY_AFTER_SECONDS, Problem
from shared.lists import Number, Page, Paged
from shared.offices import Caller, Doorkeeper
from shared.openapi import refusals

log = logging.getLogger(__name__)

T = TypeVar("T")

Check = Callable[[AsyncSession, Findings], Awaitable[None]]
"""What a service compares, in a session that sees one snapshot."""


class DeadLetterLine(BaseModel):
    """A dead letter without its body."""

    id: int
    stream: str
    sequence: int
    subject: str
    error: str
    recordedtime: datetime
    expires: datetime

    @classmethod
    def of(cls, letter: DeadLetter) -> "DeadLetterLine":
        return cls.model_validate(letter, from_attributes=True)


class OpenDeadLetter(DeadLetterLine):
    """A dead letter with its body, which may hold personal details."""

    encoding: Literal["utf-8", "base64"]
    body: str


class Replayed(BaseModel):
    """The dead letter was handled like any message, and is gone."""

    id: int
    replayed: Literal[True] = True


def administration(
    database: Database, door: Doorkeeper, dead_letters: DeadLetters, bus: Bus, check: Check, audit: Audit
) -> APIRouter:
    """The addresses that only the administrator may ask."""

    router = APIRouter(prefix="/v1", dependencies=[Depends(door.administrator)], responses=refusals(403))
    _add_letters(router, database, door, dead_letters, bus, audit)
    trail.add_routes(router, database, audit)

    @router.get("/check")
    async def compare() -> Checked:
        """Recompute what this service holds and compare: all of it as of one moment, also while events come in."""
        findings = Findings()
        try:
            async with database.unhurried() as session:
                await one_snapshot(session)
                await check(session, findings)
                head = await audit.head(session)
                findings.compared("acts", head.place)
                async for broken in audit.verify(session):
                    findings.differs("audit trail", broken.which, broken.problem)
        except BrokerAway:
            raise broker_away() from None
        checked = findings.result(head)
        if not checked.same:
            log.error("check: %d differences", checked.number)
        return checked

    return router


def _add_letters(
    router: APIRouter, database: Database, door: Doorkeeper, dead_letters: DeadLetters, bus: Bus, audit: Audit
) -> None:
    service = dead_letters.service
    Administrator = Annotated[Caller, Depends(door.administrator)]  # noqa: N806 - a type

    @router.get("/deadletters")
    async def letters(paging: Paged) -> Page[DeadLetterLine]:
        """Messages that no handler could settle, oldest first, without their bodies."""
        async with database.transaction() as session:
            found = await dead_letters.entries(session, paging.number, paging.limit + 1)
        return paging.page([DeadLetterLine.of(letter) for letter in found], lambda line: str(line.id))

    @router.get("/deadletters/{number}", responses=refusals(409))
    async def letter(number: Number, caller: Administrator) -> OpenDeadLetter:
        """One dead letter with its body, which may hold personal details: whoever reads it is written into the audit trail."""
        async with database.transaction() as session:
            found = await dead_letters.entry(session, number)
            body = await _opened(dead_letters.body(session, number), number)
            if found is None or body is None:
                raise _no_such_letter()
            await audit.record(session, Act(caller, "deadletter.read", str(number)))
        encoding, text = _readable(body)
        return OpenDeadLetter(**DeadLetterLine.of(found).model_dump(), encoding=encoding, body=text)

    @router.post("/deadletters/{number}/replay", responses=refusals(409))
    async def replay(number: Number, caller: Administrator) -> Replayed:
        """Handle a dead letter once more, as the message it was; it is removed when that succeeds, and kept when not.

        Doing it twice is harmless: an event is known by its id, a fact by its revision.
        """
        async with database.transaction() as session:
            message = await _opened(dead_letters.message(session, number), number)
        if message is None:
            raise _no_such_letter()
        try:
            await bus.replay(message)
        except Exception as error:
            if is_transient(error):
                raise
            said = describe(error)
            log.warning("dead letter %d of %s was replayed and failed again: %s", number, service, said)
            await recorded(lambda session: dead_letters.failed_again(session, number, said), caller, number)
            raise Problem(409, "failed_again", f"It failed again and is kept: {said}.") from None
        await recorded(lambda session: dead_letters.remove(session, number), caller, number)
        log.warning("dead letter %d of %s was replayed and is removed", number, service)
        return Replayed(id=number)

    async def recorded(work: Callable[[AsyncSession], Awaitable[None]], caller: Caller, number: int) -> None:
        async def both(session: AsyncSession) -> None:
            await work(session)
            await audit.record(session, Act(caller, "deadletter.replayed", str(number)))

        await database.run(both)


def broker_away() -> Problem:
    """The answer to what can only be done with the streams."""
    return Problem(
        503,
        "broker_away",
        "The broker does not answer, and without the streams this cannot be done. Try again when /readyz says so.",
        {"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


async def _opened(opening: Awaitable[T], number: int) -> T:
    try:
        return await opening
    except Unreadable:
        raise Problem(
            409,
            "sealed_otherwise",
            f"Dead letter {number} was sealed with another secret than this service has now. Put that one back to read it.",
        ) from None


def _readable(body: bytes) -> tuple[Literal["utf-8", "base64"], str]:
    try:
        return "utf-8", body.decode()
    except UnicodeDecodeError:
        return "base64", base64.b64encode(body).decode()


def _no_such_letter() -> Problem:
    return Problem(404, "not_found", "There is no such dead letter (any more): it was replayed, or kept long enough.")
