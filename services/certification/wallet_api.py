"""Links that an office gives to the holder of a certificate: making one, and ending them all."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel

from services.certification import wallet
from services.certification.links import Links, WalletLink
from shared.events.codes import CODE_PATTERN
from shared.offices import Caller, Doorkeeper
from shared.openapi import refusals

Named = Annotated[str, Path(pattern=CODE_PATTERN)]


class Ended(BaseModel):
    """How many links were ended."""

    ended: int


def routes(links: Links, door: Doorkeeper) -> APIRouter:
    """Both addresses."""
    router = APIRouter(prefix="/v1/certificates/{certificate}/wallet-links")
    days_of = Query(ge=1, le=wallet.LONGEST.days, description="How long it is good.")

    @router.post("", status_code=201)
    async def make(
        certificate: Named,
        caller: Annotated[Caller, Depends(door.open)],
        days: Annotated[int, days_of] = wallet.LIFE.days,
    ) -> WalletLink:
        """Make a link for the holder: whoever has it gets this certificate's documents, until it ends or is ended."""
        return await links.make(caller, certificate, timedelta(days=days))

    @router.delete("", responses=refusals(404))
    async def end(certificate: Named, caller: Annotated[Caller, Depends(door.open)]) -> Ended:
        """End every link to this certificate, whoever has it."""
        return Ended(ended=await links.end(caller, certificate))

    return router
