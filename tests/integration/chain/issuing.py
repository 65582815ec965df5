"""Enrolment, certification and its issuer, on real databases: what happens, and what anybody is then told."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.certification import attestations
from services.certification.attested import Attested
from services.certification.documents import Documents
from services.certification.holders import Holders
from services.certification.issuer import Issuer
from services.certification.issuer_keys import IssuerKeys, every_key
from services.certification.log import Log
from services.certification.operator import Operator
from services.certification.places import set_places
from services.certification.signing import did_document
from services.certification.status_lists import signed_list
from services.certification.subscribers import read
from services.certification.tables import Base
from services.enrolment.holders import Holders as Register
from services.enrolment.tables import Base as EnrolmentBase
from shared.audit import Head
from shared.checking import Findings
from shared.database import Database
from shared.events.envelope import Event
from shared.evidence import proved
from shared.vc.trust import Trust
from shared.vc.verdict import Verdict, judge
from tests.integration.certification import conftest as certification
from tests.integration.certification import given as at_certification
from tests.integration.enrolment.house import House, empty
from tests.remembering import Place, once_told

SECRET = b"\x02" * 32
OPERATOR = Operator.at("https://certificates.example", "A ministry (invented)")
ADMINISTRATOR = at_certification.ADMINISTRATOR


class Away(ConnectionError):
    """Enrolment does not answer."""


class Chain:
    """Both services without a broker between them: facts are told and requests are asked by hand."""

    def __init__(self, house: House, own: Database) -> None:
        self.house = house
        self.own = own
        self.heard = 0
        self.enrolment_answers = True
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.keys = IssuerKeys(SECRET)
        self.log = Log(SECRET, OPERATOR.host)
        self.holders = Holders(self.ask)
        self.issuer = self.an_issuer()
        self.documents = Documents(own, self.holders, self.issuer)

    async def begin(self) -> "Chain":
        await empty(self.house.database)
        await certification.empty(self.own)
        return self

    async def begin_after(self, name: str, tell: Callable[[], Awaitable[None]]) -> "Chain":
        """The same, once this was told."""

        async def told() -> int:
            await tell()
            return self.heard

        await self.begin()
        places = Place(self.house.database, EnrolmentBase.metadata), Place(self.own, Base.metadata)
        self.heard = await once_told(name, told, *places)
        self.issuer = self.an_issuer()  # what it remembers of the telling only the first test would have
        self.documents = Documents(self.own, self.holders, self.issuer)
        return self

    def an_issuer(self, step: Callable[[str], Awaitable[None]] | None = None) -> Issuer:
        return Issuer(self.own, self.keys, self.holders, OPERATOR, self.log.append, lambda: self.now, step)

    async def ask(self, body: bytes) -> bytes:
        if not self.enrolment_answers:
            raise Away("nobody answers")
        return await Register(self.house.database, self.house.register).answer(body)

    async def live(self, *events: dict[str, Any] | Event) -> None:
        """Events happen, in order; certification hears what enrolment tells."""
        for event in events:
            if isinstance(event, Event):
                await at_certification.post(self.own, event)
            else:
                await self.house.post(event)
        told = await self.house.rows(
            "SELECT body FROM outbox WHERE position > :heard ORDER BY position", heard=self.heard
        )
        self.heard += len(told)
        await at_certification.tell(self.own, *filter(None, (read(row["body"].encode()) for row in told)))

    async def issue(self) -> None:
        """Everything that is due."""
        await self.issuer.follow()
        await self.issuer.look()

    async def names_by_now(self) -> None:
        """Names are compared, as they are every hour, and what has to be is signed anew."""
        self.now += timedelta(hours=2)
        await self.issue()
        await self.issue()

    async def moved(self) -> list[str]:
        """Enrolments of which a standing can follow at once."""
        async with self.own.transaction() as session:
            return await attestations.moved(session, 10)

    async def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        async with self.own.transaction() as session:
            return [dict(row) for row in (await session.execute(text(query), values)).mappings()]

    async def standings(self) -> dict[tuple[str, int], str]:
        """What is public, by trainee and edition."""
        rows = await self.rows(
            """
            SELECT data ->> 'trainee' AS trainee, (data ->> 'edition')::int AS edition, attestations.status
            FROM attestations JOIN certificates USING (certificate) WHERE attestations.status <> 'prepared'
            """
        )
        return {(row["trainee"], row["edition"]): row["status"] for row in rows}

    async def public_id(self, trainee: str, edition: int = 1) -> str:
        rows = await self.rows(
            """
            SELECT public_id FROM attestations JOIN certificates USING (certificate)
            WHERE data ->> 'trainee' = :trainee AND data ->> 'edition' = :edition
            """,
            trainee=trainee,
            edition=str(edition),
        )
        return str(rows[0]["public_id"])

    async def in_log(self, public_id: str) -> list[str]:
        """The standings that the log proves, oldest first."""
        async with self.own.transaction() as session:
            _, statements = proved(await self.log.evidence(session, public_id), await self.log.key(session))
        return [one.status for one in statements]

    async def verdict(self, document: str) -> str:
        """What whoever kept a document finds with the keys and lists of now, in a word."""
        return (await self.judged(document)).word

    async def judged(self, document: str) -> Verdict:
        """All of what they find."""
        async with self.own.transaction() as session:
            keys = did_document(OPERATOR, await every_key(session))
        found = await signed_list(self.own, self.keys, OPERATOR, 1, self.now)
        assert found is not None
        trust = Trust().with_issuer(keys.encode()).with_lists(one.json.encode() for one in (found.bits, found.reasons))
        return judge(document.encode(), trust, self.now)

    async def set_bits(self) -> set[str]:
        """The public ids whose bits say that nobody should accept them."""
        async with self.own.transaction() as session:
            lists = (await session.execute(text("SELECT list FROM status_lists"))).scalars().all()
            places = {(number, place) for number in lists for place in await set_places(session, number)}
        rows = await self.rows("SELECT public_id, list, place FROM attestations")
        return {row["public_id"] for row in rows if (row["list"], row["place"]) in places}

    async def differences(self, change: str = "SELECT 1") -> list[str]:
        """What the check finds after this was done in the database, which is then undone."""
        findings = Findings()
        async with self.own.engine.connect() as connection, AsyncSession(connection) as session:
            await session.execute(text(change))
            await Attested(self.holders, self.log).compare(session, findings)
            await session.rollback()
        return [
            f"{one.what} {one.which}: {one.problem}" for one in findings.result(Head(place=0, digest="")).differences
        ]
