"""Enrolment's handlers on a real database, with the offices of the story."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
from sqlalchemy import text

from services.enrolment.check import compare_states
from services.enrolment.forgetting import Archive
from services.enrolment.handlers import Handlers
from services.enrolment.register import Register
from services.enrolment.tables import Base
from shared.audit import Audit
from shared.checking import Findings, one_snapshot
from shared.database import Database
from shared.deadletters import DeadLetters
from shared.events.receipts import Receipt, Receipts
from shared.events.wire import Raw
from shared.offices import Caller
from shared.rejected import RejectedBodies
from tests.emptying import clear
from tests.unit.enrolment.story import centre, programme

ADMINISTRATOR = "sampan_admin_of_these_tests"
BEARER = {"Authorization": f"Bearer {ADMINISTRATOR}"}
ADMIN = Caller(None, frozenset(), "administrator", administrator=True)
CERTIFICATION = "http://certification.example"
REGISTRATIONS = [programme(), centre(), centre("ntti", "KH")]


async def empty(database: Database) -> None:
    async with database.transaction() as session:
        await clear(session, Base.metadata)
        await session.execute(text("INSERT INTO outbox_head (id, epoch, position) VALUES (1, 1, 0)"))


async def registered(client: httpx.AsyncClient, roles: Mapping[str, str]) -> dict[str, str]:
    """The tokens of offices that the administrator registers, each with one role and an officer named sokha."""
    tokens = {}
    for office, role in roles.items():
        body = {"office": office, "name": f"Office {office[9:]}", "roles": [role], "officer": "sokha"}
        answer = await client.post("/v1/offices", json=body, headers=BEARER)
        assert answer.status_code == 201, answer.text
        tokens[office] = str(answer.json()["token"])
    return tokens


class House:
    """Posts to the handlers as an administrator for any office, and looks at what came of it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.register = Register(b"\x01" * 32)
        self.archive = Archive(RejectedBodies("enrolment", b"\x01" * 32), DeadLetters("enrolment", b"\x01" * 32))
        self.audit = Audit(database, b"\x01" * 32)
        self.handlers = Handlers(
            database,
            self.register,
            self.archive,
            self.audit,
            CERTIFICATION,
            clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        )

    async def post(self, *events: dict[str, Any], caller: Caller = ADMIN) -> list[Receipt]:
        """One body, one transaction."""
        return (await self.take(*events, caller=caller)).receipts

    async def take(self, *events: dict[str, Any], caller: Caller = ADMIN) -> Receipts:
        return await self.handlers.take([Raw(place, event) for place, event in enumerate(events, 1)], caller)

    async def standings(self) -> dict[str, str]:
        """How every event stands, by id, as ``status code``."""
        rows = await self.rows("SELECT id, status, code FROM events")
        return {row["id"]: f"{row['status']} {row['code']}" for row in rows}

    async def facts(self) -> dict[str, dict[str, Any]]:
        """The last fact of each thing, by its subject."""
        return {row["subject"]: row["body"] for row in await self.rows("SELECT subject, body FROM things")}

    async def notices(self) -> list[tuple[str, dict[str, Any]]]:
        rows = await self.rows("SELECT subject, body FROM notices ORDER BY id")
        return [(row["subject"], json.loads(row["body"])["receipt"]) for row in rows]

    async def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        async with self.database.transaction() as session:
            return [dict(row) for row in (await session.execute(text(query), values)).mappings()]


def said(receipts: Iterable[Receipt]) -> list[str]:
    """Receipts as ``status code``."""
    return [f"{receipt.status} {receipt.code}" for receipt in receipts]


async def checked(house: House) -> None:
    """What is held is what its events give."""
    findings = Findings()
    async with house.database.transaction() as session:
        await one_snapshot(session)
        await compare_states(session, findings, house.register)
    assert findings.result().same, findings.result().differences
