"""Reporting on the real PostgreSQL: migrated once per worker, emptied for each test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from fastapi import FastAPI

from services.reporting import coarse, exports_api, periods_api, public_api
from services.reporting.api import routes
from services.reporting.changes_api import routes as changes
from services.reporting.explain_api import EXPLAINED_AT_ONCE, Turns
from services.reporting.exporting import Outlets
from services.reporting.formats.iati import Publisher
from services.reporting.live import Live
from services.reporting.pages import ReportingPages
from services.reporting.tables import Base, Office, Session, Token
from shared.audit import Audit
from shared.bus import Extent
from shared.database import Database
from shared.http import create_app
from shared.offices import Doorkeeper, token_digest
from shared.sessions import Sessions
from shared.visitors import Visitors
from tests.contract.answers import as_documented
from tests.emptying import clear
from tests.servers import PostgresForTests

ADMINISTRATOR = "sampan_admin_of_these_tests"
KEY = bytes(32)
OUTLETS = Outlets(publisher=Publisher("XM-EXAMPLE-1", "40", "An invented operator"))
BEARER = {"Authorization": f"Bearer {ADMINISTRATOR}"}


@pytest.fixture(scope="session")
def migrated(postgres: PostgresForTests, migrated_database: str) -> str:
    """The address of a database that reporting's migrations have made."""
    return postgres.url("reporting", migrated_database)


@pytest.fixture
async def database(migrated: str) -> AsyncIterator[Database]:
    made = Database(migrated, "reporting")
    await empty(made)
    yield made
    await made.close()


async def empty(database: Database) -> None:
    async with database.transaction() as session:
        await coarse.empty_tail(session)
        await clear(session, Base.metadata)


@dataclass
class Streams:
    """What the broker has, as the test says: by default all that was ever heard."""

    there: dict[str, Extent] = field(default_factory=dict)

    async def look(self, stream: str) -> Extent:
        return self.there.get(stream, Extent(1, 1000, 1000))


@pytest.fixture
def streams() -> Streams:
    return Streams()


@pytest.fixture
def app(database: Database, streams: Streams) -> FastAPI:
    """Reporting over HTTP for its administrator; nothing is heard meanwhile."""
    live = Live(database)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with live.running():
            yield

    async def problems() -> list[str]:
        return []

    made = create_app("reporting under test", lifespan, problems)
    door = Doorkeeper(database, token_digest(ADMINISTRATOR), Office, Token)
    sessions = Sessions(database, door, Session, "reporting")
    explaining = Turns(EXPLAINED_AT_ONCE)
    made.include_router(
        routes(
            database,
            door,
            sessions,
            Audit(database, bytes(32)),
            streams.look,
            https=False,
            explaining=explaining,
            key=KEY,
            outlets=OUTLETS,
        )
    )
    made.include_router(exports_api.routes(database, door))
    made.include_router(public_api.routes(database, door, Audit(database, bytes(32)), Visitors()))
    made.include_router(periods_api.routes(database, door, Audit(database, bytes(32)), explaining))
    made.include_router(changes(live, door, sessions))
    elsewhere = {"enrolment": "http://enrolment", "certification": "http://certification"}
    made.include_router(ReportingPages(database, sessions, door, elsewhere, explaining, KEY).routes())
    made.state.live = live
    return made


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The administrator, asking."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://reporting",
        headers=BEARER,
        event_hooks=as_documented("reporting"),
    ) as asking:
        yield asking
