"""The registry of offices: who may call, in which roles, with whose tokens. Every service learns of it through facts.

The broker learns of it too: see `services.enrolment.admissions`.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.enrolment.tables import BrokerUser, Office, Token
from shared.audit import Act, Audit
from shared.credentials import Authority
from shared.database import Database
from shared.events.codes import Role
from shared.events.enrolment import OfficeFact, office_fact
from shared.events.enrolment import Token as Credential
from shared.events.identity import office_of
from shared.offices import Caller, new_token, token_digest
from shared.outbox import publish, publish_lock


class HandedOut(NamedTuple):
    """What an officer is given, once: nobody is ever told it again."""

    token: str
    nats_credentials: str
    """The text of a NATS credentials file."""
    expires: datetime
    """Of both."""


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
        """Register an office, or give it another name, other roles and one more officer."""
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
            await session.execute(delete(Token).where(col(Token.expires) <= self._clock()))
            await session.execute(delete(BrokerUser).where(col(BrokerUser.expires) <= self._clock()))
            await session.execute(insert(BrokerUser).values(key=user.key, office=office, expires=expires))
            await session.execute(
                insert(Token).values(sha256=token_digest(token), office=office, officer=officer, expires=expires)
            )
            await publish(session, "enrolment", [office_fact(await office_by_now(session, office))])
            await self._audit.record(session, Act(by, "office.registered", f"{office}:{officer}"))

        await self._database.run(work)
        return HandedOut(token, user.credentials, expires)

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
            await publish(session, "enrolment", [office_fact(await office_by_now(session, office))])
            await self._audit.record(session, Act(by, "office.revoked", office))
            return True

        return await self._database.run(work)


async def office_by_now(session: AsyncSession, office: str) -> OfficeFact:
    """A registered office with all its tokens, as its fact tells it."""
    row = (await session.execute(select(Office).where(col(Office.office) == office))).scalar_one()
    tokens = await session.execute(select(Token).where(col(Token.office) == office).order_by(col(Token.sha256)))
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
        }
    )
