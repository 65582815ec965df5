"""Links that an office gives to the holder of a certificate: making one, and ending them all."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel

from services.certification import queries, wallet
from services.certification.printing import NOT_THERE
from shared.audit import Act, Audit
from shared.database import Database
from shared.events.codes import CODE_PATTERN
from shared.http import Problem
from shared.offices import Caller, Doorkeeper
from shared.openapi import refusals

Named = Annotated[str, Path(pattern=CODE_PATTERN)]


class WalletLink(BaseModel):
    """An address to give to the holder, who needs nothing else; ``expires`` is when it ends."""

    address: str
    expires: datetime


class Ended(BaseModel):
    """How many links were ended."""

    ended: int


def routes(address: str | None, database: Database, door: Doorkeeper, audit: Audit) -> APIRouter:
    """Both addresses. ``address`` is the installation's public one: without it nothing is issued."""
    router = APIRouter(prefix="/v1/certificates/{certificate}/wallet-links")
    days_of = Query(ge=1, le=wallet.LONGEST.days, description="How long it is good.")

    async def see(caller: Caller, certificate: str) -> None:
        async with database.transaction() as session:
            if not await queries.named_certificates(session, caller, certificate=certificate):
                raise Problem(404, "not_found", NOT_THERE)

    @router.post("", status_code=201)
    async def make(
        certificate: Named,
        caller: Annotated[Caller, Depends(door.open)],
        days: Annotated[int, days_of] = wallet.LIFE.days,
    ) -> WalletLink:
        """Make a link for the holder: whoever has it gets this certificate's documents, until it ends or is ended."""
        await see(caller, certificate)
        if address is None:
            raise Problem(404, "nothing_issued", "This installation issues nothing: its public address is not set.")
        now = datetime.now(UTC)
        expires = now + timedelta(days=days)
        async with database.transaction() as session:
            secret = await wallet.make(session, certificate, caller.postedby, expires, now)
            await audit.record(session, Act(caller, "wallet.made", certificate))
        return WalletLink(address=f"{address}/w/{secret}", expires=expires)

    @router.delete("", responses=refusals(404))
    async def end(certificate: Named, caller: Annotated[Caller, Depends(door.open)]) -> Ended:
        """End every link to this certificate, whoever has it."""
        await see(caller, certificate)
        async with database.transaction() as session:
            ended = await wallet.end(session, certificate)
            await audit.record(session, Act(caller, "wallet.ended", certificate, ended))
        return Ended(ended=ended)

    return router
