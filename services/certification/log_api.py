"""The transparency log over HTTP: open to everybody, since there is nobody's detail in it."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from services.certification.log import Log
from shared.database import Database
from shared.evidence import LogEvidence, encoded
from shared.http import Problem
from shared.lists import known_parameters
from shared.openapi import OPEN, refusals
from shared.visitors import Visitors

LEAVES: Final = 1000
"""Leaves in one answer."""
_LARGEST: Final = 2**62
_NOT_KEPT: Final = {"Cache-Control": "no-store"}  # a partner must see today's log, not a proxy's
Size = Annotated[int, Query(ge=0, le=_LARGEST)]


class LogProof(BaseModel):
    """A proof's hashes in base64, in the order of RFC 9162."""

    proof: list[str]


class LogLeaves(BaseModel):
    """Leaves from a place on, each as the text that is hashed; ``size`` is how many there are in all."""

    start: int
    size: int
    leaves: list[str]


def routes(there: Log | None, database: Database, visitors: Visitors) -> APIRouter:
    """Every address of the log; ``there`` is none while nothing is issued here."""
    router = APIRouter(prefix="/v1/log", dependencies=[Depends(visitors.open)])
    open_to_all: dict[str, Any] = {"openapi_extra": OPEN, "responses": refusals(404, 429, 500, 503)}

    async def the_log() -> Log:
        if there is None:
            raise Problem(
                404, "nothing_issued", "Nothing is issued here, since no public address is set: there is no log."
            )
        return there

    Its = Annotated[Log, Depends(the_log)]  # noqa: N806 (a type)

    @router.get("/checkpoint", response_class=PlainTextResponse, **open_to_all)
    async def checkpoint(log: Its) -> Response:
        """The newest signed checkpoint (C2SP tlog-checkpoint): keep it, and ask later whether the log still begins with it."""
        async with database.transaction() as session:
            return PlainTextResponse(await log.checkpoint(session), headers=_NOT_KEPT)

    @router.get("/key", response_class=PlainTextResponse, **open_to_all)
    async def key(log: Its) -> Response:
        """The log's name and public key, as one line; write it down when you first trust this log."""
        async with database.transaction() as session:
            return PlainTextResponse((await log.key(session)).text + "\n", headers=_NOT_KEPT)

    @router.get("/proof/inclusion", **open_to_all)
    async def inclusion(log: Its, index: Size, size: Size) -> LogProof:
        """What proves that a leaf is among the first ``size``."""
        async with database.transaction() as session:
            if not index < size <= await log.size(session):
                raise _no_such_size("Ask for an index below the size, and a size that the log has reached.")
            return LogProof(proof=encoded(await log.inclusion(session, index, size)))

    @router.get("/proof/consistency", **open_to_all)
    async def consistency(
        log: Its,
        first: Annotated[int, Query(ge=0, le=_LARGEST, alias="from")],
        second: Annotated[int, Query(ge=0, le=_LARGEST, alias="to")],
    ) -> LogProof:
        """What proves that the log of ``to`` leaves begins with the log of ``from``."""
        async with database.transaction() as session:
            if not first <= second <= await log.size(session):
                raise _no_such_size("Ask from a size to one that is not smaller, and that the log has reached.")
            return LogProof(proof=encoded(await log.consistency(session, first, second)))

    @router.get("/leaves", dependencies=[Depends(known_parameters)], **open_to_all)
    async def leaves(
        log: Its,
        start: Annotated[int, Query(ge=0, le=_LARGEST, alias="from")] = 0,
        limit: Annotated[int, Query(ge=1, le=LEAVES)] = LEAVES,
    ) -> LogLeaves:
        """The leaves themselves: salted commitments, and when each was made."""
        async with database.transaction() as session:
            return LogLeaves(start=start, size=await log.size(session), leaves=await log.leaves(session, start, limit))

    @router.get("/certificates/{public_id}", **open_to_all)
    async def standings(log: Its, public_id: Annotated[str, Path(pattern="^[a-z2-7]{26}$")]) -> LogEvidence:
        """Every standing of one certificate with its proof: what `sampan verify --log` checks without asking anybody."""
        async with database.transaction() as session:
            found = await log.evidence(session, public_id)
        if not found.standings:
            raise Problem(404, "not_found", "The log knows no such certificate. Check the address, letter by letter.")
        return found

    return router


def _no_such_size(message: str) -> Problem:
    return Problem(400, "invalid_query", message)
