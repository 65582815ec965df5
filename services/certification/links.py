"""Links for holders, as offices make and end them: who may, and what is written down of it."""

from datetime import UTC, datetime, timedelta

from pydantic import BaseModel

from services.certification import queries, wallet
from services.certification.documents import Names
from services.certification.printing import NOT_THERE
from shared.audit import Act, Audit
from shared.database import Database
from shared.http import Problem
from shared.offices import Caller


class WalletLink(BaseModel):
    """An address to give to the holder, who needs nothing else; ``expires`` is when it ends."""

    address: str
    expires: datetime


class Links:
    """Of one installation. ``address`` is its public one: without it nothing is issued."""

    def __init__(self, address: str | None, database: Database, names: Names, audit: Audit) -> None:
        self.address = address
        self._database = database
        self._names = names
        self._audit = audit

    async def make(self, caller: Caller, certificate: str, life: timedelta = wallet.LIFE) -> WalletLink:
        """A new link for a certificate whose documents this office may have, also later ones. Raises ``Problem`` 404 and 503."""
        if not await self._names.certificates(caller, certificate=certificate, ever=True):
            raise Problem(404, "not_found", NOT_THERE)
        if self.address is None:
            raise Problem(404, "nothing_issued", "This installation issues nothing: its public address is not set.")
        now = datetime.now(UTC)
        async with self._database.transaction() as session:
            secret = await wallet.make(session, certificate, caller.postedby, now + life, now)
            await self._audit.record(session, Act(caller, "wallet.made", certificate))
        return WalletLink(address=f"{self.address}/w/{secret}", expires=now + life)

    async def end(self, caller: Caller, certificate: str) -> int:
        """End every link to a certificate, whatever its holder agrees to; how many there were. Raises ``Problem`` 404."""
        async with self._database.transaction() as session:
            if not await queries.named_certificates(session, caller, certificate=certificate):
                raise Problem(404, "not_found", NOT_THERE)
            ended = await wallet.end(session, certificate)
            await self._audit.record(session, Act(caller, "wallet.ended", certificate, ended))
        return ended
