"""Sessions of people in browsers: a cookie names one, a row of the service's own table says whose it is.

The cookie is 256 random bits and no token: whoever copies it has the pages until the officer signs out, or for half a day, and
never the token. The row holds the digests of both, so a copy of the table opens nothing; a revoked token ends its sessions.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import DateTime, delete, insert, select
from sqlmodel import Field, SQLModel, col

from shared.database import Database
from shared.http import Problem
from shared.offices import Caller, Doorkeeper, token_digest

LIFE = timedelta(hours=12)
"""A working day: a centre's computer is shared, and somebody may forget to sign out."""


class SessionRow(SQLModel):
    """One session, by the SHA-256 of what its cookie holds; a mixin for each service's own table."""

    sha256: str = Field(primary_key=True)
    token: str
    """The SHA-256 of the token with which it was opened."""
    expires: datetime = Field(sa_type=DateTime(timezone=True))


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page. Each of their forms carries ``form_key``, which no other site's page can know."""

    caller: Caller
    form_key: str

    def sent(self, form_key: str) -> bool:
        """Whether a form with this key is one that this visitor was shown."""
        return hmac.compare_digest(form_key.encode(), self.form_key.encode())


class Sessions:
    """Opens, finds and ends the sessions of one service."""

    def __init__(self, database: Database, door: Doorkeeper, row: type[SessionRow], service: str) -> None:
        self._database = database
        self._door = door
        self._row = row
        self.cookie = f"sampan_{service}"
        """Its own for each service: on one machine their pages differ by the port only, and cookies know no ports."""

    async def start(self, token: str, remote: str) -> tuple[str, Caller]:
        """A new session for who holds this token: what its cookie is to hold, and who it is. Raises ``Problem`` 401 or 429."""
        caller = await self._door.caller(token, remote)
        self._door.spend(caller, requests=1)
        session, now = secrets.token_urlsafe(32), datetime.now(UTC)
        async with self._database.transaction() as transaction:
            await transaction.execute(delete(self._row).where(col(self._row.expires) <= now))
            await transaction.execute(
                insert(self._row).values(sha256=_digest(session), token=token_digest(token), expires=now + LIFE)
            )
        return session, caller

    async def visitor(self, session: str) -> Visitor:
        """Whose session it is. Raises ``Problem`` 401 when it or its token is good no more, and 429 as for programs."""
        async with self._database.transaction() as transaction:
            token = (
                await transaction.execute(
                    select(col(self._row.token)).where(
                        col(self._row.sha256) == _digest(session), col(self._row.expires) > datetime.now(UTC)
                    )
                )
            ).scalar_one_or_none()
        if token is None:
            raise Problem(401, "unauthorised", "Your session has ended. Please sign in again.")
        key = hmac.digest(session.encode(), b"forms", hashlib.sha256).hex()
        caller = await self._door.caller_of(token)
        self._door.spend(caller, requests=1)
        return Visitor(caller, key)

    async def end(self, session: str) -> None:
        """End a session, for every copy of its cookie."""
        async with self._database.transaction() as transaction:
            await transaction.execute(delete(self._row).where(col(self._row.sha256) == _digest(session)))


def _digest(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()
