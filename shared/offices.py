"""Who is calling: offices, the roles they hold, and their officers' bearer tokens.

Enrolment owns the registry; the other services hear of an office through its facts, like everything else, and hold the
SHA-256 of each token. A token is 256 random bits, so a plain digest is enough: there is nothing to guess from.
"""

import asyncio
import hashlib
import hmac
import logging
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fastapi import Request
from sqlalchemy import DateTime, Text, delete, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from shared.database import Database
from shared.events.enrolment import OfficeFact
from shared.events.identity import office_of
from shared.http import Problem
from shared.limits import FailedLogins, Limits, TooFast

log = logging.getLogger(__name__)


class OfficeRow(SQLModel):
    """An office that may call; a mixin for each service's own table."""

    office: str = Field(primary_key=True)
    name: str
    roles: list[str] = Field(sa_type=JSONB)
    status: str
    epoch: int = 0
    revision: int = 0


class TokenRow(SQLModel):
    """One officer's token, as its SHA-256; a mixin for each service's own table."""

    sha256: str = Field(primary_key=True)
    office: str = Field(index=True)
    officer: str
    expires: datetime = Field(sa_type=DateTime(timezone=True))


class KeyRow(SQLModel):
    """The public key with which an officer signs bundles of events; a mixin for each service's own table."""

    key: str = Field(primary_key=True, sa_type=Text)
    office: str = Field(index=True, sa_type=Text)
    officer: str = Field(sa_type=Text)
    expires: datetime = Field(sa_type=DateTime(timezone=True))


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is behind a request. An administrator belongs to no office and may post for any."""

    source: str | None
    roles: frozenset[str]
    officer: str
    administrator: bool = False
    name: str = field(default="", compare=False)
    """The office's own name, for pages."""
    expires: datetime | None = field(default=None, compare=False)
    """When the token ends by which they are known; an administrator's does not."""

    @property
    def country(self) -> str | None:
        """The office's country in lower case."""
        return office_of(self.source)[0] if self.source else None

    @property
    def postedby(self) -> str:
        """Who to record beside an event."""
        return "administrator" if self.administrator else f"{self.source}#{self.officer}"

    def may_post_for(self, source: str) -> bool:
        return self.administrator or self.source == source

    def only_reads(self) -> bool:
        """Whether this is an office that may see figures and nothing else."""
        return not self.administrator and self.roles <= {"reader"}


def new_token(office: str) -> str:
    """A fresh token for an officer of the office; it can be told apart in a list, and not guessed."""
    country, code = office_of(office)
    return f"sampan_{country}_{code}_{secrets.token_urlsafe(32)}"


def token_digest(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def metrics_token(administrator_digest: str) -> str:
    """What a scraper brings: made from the administrator's token's digest, it opens /metrics and nothing else."""
    return token_digest(f"metrics {administrator_digest}")


class Doorkeeper:
    """Tells who is calling from the token they bring."""

    def __init__(
        self,
        database: Database,
        administrator_digest: str,
        office: type[OfficeRow],
        token: type[TokenRow],
        limits: Limits | None = None,
    ) -> None:
        """``administrator_digest`` is the SHA-256 of the administrator's token; the tables are the service's own."""
        self._database = database
        self._administrator_digest = administrator_digest
        self._office = office
        self._token = token
        self._limits = limits or Limits()
        self._failed = FailedLogins()

    async def open(self, request: Request) -> Caller:
        """The caller of a request, by its ``Authorization: Bearer`` header. Raises ``Problem`` 401 or 429."""
        caller = await self.caller(_bearer(request), remote_of(request))
        request.state.token_expires = caller.expires
        self.spend(caller, requests=1)
        return caller

    async def administrator(self, request: Request) -> Caller:
        """The same for what only the administrator may do. Raises ``Problem`` 401, 403 or 429."""
        caller = await self.open(request)
        if not caller.administrator:
            raise Problem(403, "administrators_only", "Only the administrator may do this.")
        return caller

    async def scrape(self, request: Request) -> None:
        """Let in whoever brings the token for metrics, also while the database is away, or any other. Raises ``Problem`` 401."""
        token = _bearer(request)
        if not hmac.compare_digest(token.encode(), metrics_token(self._administrator_digest).encode()):
            await self.caller(token, remote_of(request))

    def spend(self, caller: Caller, *, requests: int = 0, events: int = 0, size: int = 0) -> None:
        """Count what an office does. Raises ``Problem`` 429 when it does too much at a time; an administrator never does."""
        if caller.source is None:
            return
        try:
            self._limits.spend(caller.source, requests=requests, events=events, size=size)
        except TooFast as fast:
            log.warning("%s sends too many %s", caller.source, fast.what)
            raise _too_many(
                f"Your office has sent too many {fast.what} in a short time. Nothing was taken: send it again in "
                f"{fast.seconds} s.",
                fast.seconds,
            ) from None

    async def caller(self, token: str, remote: str = "") -> Caller:
        """The caller who holds this token. Raises ``Problem`` 401 when nobody does, or no longer; 429 when too many try.

        ``remote`` is where it comes from: whoever goes on bringing bad tokens from there is answered later and later. A good one
        is never kept waiting, whoever else tries.
        """
        try:
            return await self.caller_of(token_digest(token))
        except Problem:
            await self._keep_waiting(remote, token)
            raise

    async def _keep_waiting(self, remote: str, token: str) -> None:
        failed = self._failed
        try:
            pretended = "_".join(token.split("_", 3)[:3])[:100]  # what a token begins with names its office
            seconds = failed.delay(f"from {remote}", f"for {pretended}")
        except TooFast as fast:
            raise _too_many(f"Too many bad tokens were tried. Try again in {fast.seconds} s.", fast.seconds) from None
        if seconds:
            log.warning("bad tokens from %s: answering %.1f s late", remote or "somewhere", seconds)
            failed.waiting += 1
            try:
                await asyncio.sleep(seconds)
            finally:
                failed.waiting -= 1

    async def caller_of(self, digest: str) -> Caller:
        """The caller who holds the token with this digest, as a session remembers it. Raises ``Problem`` 401."""
        if hmac.compare_digest(digest, self._administrator_digest):
            return Caller(None, frozenset(), "administrator", administrator=True)
        async with self._database.transaction() as session:
            found = (
                (
                    await session.execute(
                        select(
                            col(self._office.office).label("office"),
                            col(self._office.name).label("name"),
                            col(self._office.roles).label("roles"),
                            col(self._office.status).label("status"),
                            col(self._token.officer).label("officer"),
                            col(self._token.expires).label("expires"),
                        )
                        .join(self._token, col(self._token.office) == col(self._office.office))
                        .where(col(self._token.sha256) == digest)
                    )
                )
                .mappings()
                .one_or_none()
            )
        if found is None or found["status"] != "active":
            raise _unauthorised("This token is not known, or was revoked. Ask the administrator for a new one.")
        if found["expires"] <= datetime.now(UTC):
            raise _unauthorised("This token has expired. Ask the administrator for a new one.")
        return Caller(
            found["office"], frozenset(found["roles"]), found["officer"], name=found["name"], expires=found["expires"]
        )


async def apply_office(
    session: AsyncSession,
    office: type[OfficeRow],
    token: type[TokenRow],
    fact: OfficeFact,
    epoch: int,
    revision: int,
    key: type[KeyRow] | None = None,
) -> None:
    """Take up an office's fact if it is newer than what is held; its tokens are replaced as a whole, and so are its keys in a
    service that keeps them."""
    values = {
        "office": fact.office,
        "name": fact.name,
        "roles": list(fact.roles),
        "status": fact.status,
        "epoch": epoch,
        "revision": revision,
    }
    statement = insert(office).values(values)
    newer = tuple_(col(office.epoch), col(office.revision)) < tuple_(epoch, revision)
    applied = await session.execute(
        statement.on_conflict_do_update(index_elements=["office"], set_=values, where=newer).returning(
            col(office.office)
        )
    )
    if applied.one_or_none() is None:
        return
    await session.execute(delete(token).where(col(token.office) == fact.office))
    if fact.tokens:
        await session.execute(
            insert(token),
            [
                {"sha256": line.sha256, "office": fact.office, "officer": line.officer, "expires": line.expires}
                for line in fact.tokens
            ],
        )
    if key is not None:
        await session.execute(delete(key).where(col(key.office) == fact.office))
        if fact.keys:
            await session.execute(
                insert(key),
                [
                    {"key": line.key, "office": fact.office, "officer": line.officer, "expires": line.expires}
                    for line in fact.keys
                ],
            )


def remote_of(request: Request) -> str:
    """Where a request comes from, as far as the server knows."""
    return request.client.host if request.client else ""


def _too_many(message: str, seconds: int) -> Problem:
    return Problem(429, "too_many", message, {"Retry-After": str(seconds)})


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _unauthorised("Send your office's token as 'Authorization: Bearer ...'.")
    return token.strip()


def _unauthorised(message: str) -> Problem:
    return Problem(401, "unauthorised", message, {"WWW-Authenticate": "Bearer"})
