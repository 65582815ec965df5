"""The registry of offices: who may call, in which roles, with whose tokens. Every service learns of it through facts.

The broker learns of it too: see `services.enrolment.admissions`.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.enrolment.tables import BrokerUser, Office, Token
from shared.audit import Act, Audit
from shared.credentials import Authority
from shared.database import Database
from shared.events.codes import Role
from shared.events.enrolment import OfficeFact, SigningKey, office_fact
from shared.events.enrolment import Token as Credential
from shared.events.identity import office_of
from shared.offices import Caller, new_token, token_digest
from shared.outbox import publish, publish_lock

TOKENS_LIMIT = 8
"""Tokens of one officer that are good at a time: a fact with all of an office's must stay one message."""


class HandedOut(NamedTuple):
    """What an officer is given, once: nobody is ever told it again."""

    token: str
    nats_credentials: str
    """The text of a NATS credentials file."""
    expires: datetime
    """Of both."""


class Rotated(NamedTuple):
    """An officer's new token, and when those before it end."""

    token: str
    expires: datetime
    others_end: datetime


class TooManyTokens(Exception):
    """The officer holds so many tokens already that another one must wait until some have ended."""


class Registry:
    """Registers and revokes offices; one call, one transaction."""

    def __init__(
        self,
        database: Database,
        authority: Authority,
        audit: Audit,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._audit = audit
        self._authority = authority
        self._clock = clock

    async def register(
        self, office: str, name: str, roles: Sequence[Role], officer: str, expires_days: int, *, by: Caller
    ) -> HandedOut:
        """Register an office, or give it another name, other roles and one more officer. Raises TooManyTokens."""
        token, expires = new_token(office), self._clock() + timedelta(days=expires_days)
        user = self._authority.admit(*office_of(office), expires)
        row = {
            "office": office,
            "name": name,
            "roles": sorted(set(roles)),
            "status": "active",
            "epoch": 0,
            "revision": 0,
        }

        async def work(session: AsyncSession) -> None:
            await publish_lock(session)
            await session.execute(insert(Office).values(row).on_conflict_do_update(index_elements=["office"], set_=row))
            await self._forget_expired(session)
            await _held(session, office, officer)
            await session.execute(
                insert(BrokerUser).values(key=user.key, office=office, officer=officer, expires=expires)
            )
            await session.execute(
                insert(Token).values(sha256=token_digest(token), office=office, officer=officer, expires=expires)
            )
            await self._tell(session, office, Act(by, "office.registered", f"{office}:{officer}"))

        await self._database.run(work)
        return HandedOut(token, user.credentials, expires)

    async def rotate(
        self, office: str, officer: str, *, overlap: timedelta, expires_days: int, by: Caller
    ) -> Rotated | None:
        """Another token for an officer who has one, good at once; the old ones stay good for the overlap and no longer.

        None when the officer has no token. Raises TooManyTokens.
        """
        now = self._clock()
        token, expires, others_end = new_token(office), now + timedelta(days=expires_days), now + overlap

        async def work(session: AsyncSession) -> bool:
            await publish_lock(session)
            await self._forget_expired(session)
            if not await _held(session, office, officer):
                return False
            await session.execute(
                update(Token)
                .where(col(Token.office) == office, col(Token.officer) == officer)
                .values(expires=func.least(col(Token.expires), others_end))
            )
            await session.execute(
                insert(Token).values(sha256=token_digest(token), office=office, officer=officer, expires=expires)
            )
            await self._tell(session, office, Act(by, "token.rotated", f"{office}:{officer}"))
            return True

        return Rotated(token, expires, others_end) if await self._database.run(work) else None

    async def credentials(self, office: str, officer: str, expires_days: int, *, by: Caller) -> HandedOut | None:
        """NATS credentials more for an officer; those before stay good. None when there is no such office, or it is revoked."""
        expires = self._clock() + timedelta(days=expires_days)
        user = self._authority.admit(*office_of(office), expires)

        async def work(session: AsyncSession) -> bool:
            await publish_lock(session)
            await self._forget_expired(session)
            active = select(Office).where(col(Office.office) == office, col(Office.status) == "active")
            if (await session.execute(active)).one_or_none() is None:
                return False
            await session.execute(
                insert(BrokerUser).values(key=user.key, office=office, officer=officer, expires=expires)
            )
            await self._tell(session, office, Act(by, "credentials.made", f"{office}:{officer}"))
            return True

        return HandedOut("", user.credentials, expires) if await self._database.run(work) else None

    async def revoke_officer(self, office: str, officer: str, *, by: Caller) -> bool:
        """Take every token and NATS user from one officer; False when the officer has none."""

        async def work(session: AsyncSession) -> bool:
            await publish_lock(session)
            tokens = await session.execute(
                delete(Token)
                .where(col(Token.office) == office, col(Token.officer) == officer)
                .returning(col(Token.sha256))
            )
            users = await session.execute(
                update(BrokerUser)
                .where(
                    col(BrokerUser.office) == office,
                    col(BrokerUser.officer) == officer,
                    col(BrokerUser.revoked).is_(None),
                )
                .values(revoked=self._clock())
                .returning(col(BrokerUser.key))
            )
            if not [*tokens, *users]:
                return False
            await self._tell(session, office, Act(by, "officer.revoked", f"{office}:{officer}"))
            return True

        return await self._database.run(work)

    async def _forget_expired(self, session: AsyncSession) -> None:
        await session.execute(delete(Token).where(col(Token.expires) <= self._clock()))
        await session.execute(delete(BrokerUser).where(col(BrokerUser.expires) <= self._clock()))

    async def _tell(self, session: AsyncSession, office: str, act: Act) -> None:
        """Tell the other services what became of an office, and the audit trail who did it."""
        await publish(session, "enrolment", [office_fact(await office_by_now(session, office))])
        await self._audit.record(session, act)

    async def revoke(self, office: str, *, by: Caller) -> bool:
        """Take every token and NATS user from an office; False when there is no such office."""

        async def work(session: AsyncSession) -> bool:
            await publish_lock(session)
            revoked = (
                update(Office)
                .where(col(Office.office) == office)
                .values(status="revoked")
                .returning(col(Office.office))
            )
            if (await session.execute(revoked)).one_or_none() is None:
                return False
            await session.execute(delete(Token).where(col(Token.office) == office))
            await session.execute(
                update(BrokerUser)
                .where(col(BrokerUser.office) == office, col(BrokerUser.revoked).is_(None))
                .values(revoked=self._clock())
            )
            await self._tell(session, office, Act(by, "office.revoked", office))
            return True

        return await self._database.run(work)


async def _held(session: AsyncSession, office: str, officer: str) -> int:
    """How many tokens an officer holds. Raises TooManyTokens when there can be no other."""
    theirs = (col(Token.office) == office, col(Token.officer) == officer)
    held = (await session.execute(select(func.count()).select_from(Token).where(*theirs))).scalar_one()
    if held >= TOKENS_LIMIT:
        raise TooManyTokens
    return held


async def office_by_now(session: AsyncSession, office: str) -> OfficeFact:
    """A registered office with all its tokens, as its fact tells it."""
    row = (await session.execute(select(Office).where(col(Office.office) == office))).scalar_one()
    tokens = await session.execute(select(Token).where(col(Token.office) == office).order_by(col(Token.sha256)))
    users = await session.execute(
        select(BrokerUser)
        .where(col(BrokerUser.office) == office, col(BrokerUser.revoked).is_(None))
        .order_by(col(BrokerUser.key))
    )
    return OfficeFact.model_validate(
        {
            "office": row.office,
            "name": row.name,
            "roles": row.roles,
            "status": row.status,
            "tokens": [
                Credential(sha256=token.sha256, officer=token.officer, expires=token.expires)
                for token in tokens.scalars()
            ],
            "keys": [
                SigningKey(key=user.key, officer=user.officer, expires=user.expires)
                for user in users.scalars()
                if user.officer
            ],
        }
    )
