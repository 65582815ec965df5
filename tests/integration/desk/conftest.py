"""Enrolment and certification on the real PostgreSQL, with the broker away and officers in front."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from fastapi import FastAPI

from services.certification.app import create as create_certification
from services.certification.settings import Settings as CertificationSettings
from services.enrolment.app import create as create_enrolment
from services.enrolment.settings import Settings
from services.enrolment.tables import Base
from shared.database import Database
from shared.offices import new_token
from tests.apps import SharedApp
from tests.integration.certification import conftest as certification
from tests.integration.certification.given import ROLES, a_cohort, a_trainee, an_office, tell
from tests.integration.desk.browser import Browser
from tests.integration.enrolment import conftest as enrolment
from tests.integration.enrolment.house import ADMINISTRATOR, House, empty, registered
from tests.remembering import Place, once_told
from tests.servers import broker_files
from tests.unit.certification.given import AUTHORITY, BODY, trainee
from tests.unit.enrolment.story import COORDINATOR, HOST, SENDER, STRANGER

READER = "/offices/cn/press"
OFFICES = {
    COORDINATOR: "coordinator",
    SENDER: "sending-office",
    HOST: "host-centre",
    STRANGER: "sending-office",
    READER: "reader",
}
BODYS_TOKEN = new_token(BODY)
AUTHORITYS_TOKEN = new_token(AUTHORITY)

migrated = enrolment.migrated
migrated_certification = certification.migrated
database = enrolment.database
house = enrolment.house
settings = enrolment.settings
shared_app = enrolment.shared_app
app = enrolment.app


@pytest.fixture
async def opened(app: FastAPI) -> AsyncIterator["Opened"]:
    async with app.router.lifespan_context(app), AsyncExitStack() as stack:
        yield Opened(app, stack)


class Opened:
    """A running service, and browsers on it."""

    def __init__(self, app: FastAPI, stack: AsyncExitStack) -> None:
        self.app = app
        self._stack = stack

    async def browser(self, token: str | None = None) -> Browser:
        asking = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://desk")
        browser = Browser(await self._stack.enter_async_context(asking))
        if token is not None:
            await browser.sign_in(token)
        return browser


@pytest.fixture
async def tokens(opened: Opened, database: Database) -> dict[str, str]:
    """The tokens of the story's offices, each with an officer named sokha."""
    administrator = (await opened.browser()).client
    place = Place(database, Base.metadata)
    return await once_told("the desk's offices", lambda: registered(administrator, OFFICES), place)


@pytest.fixture
async def sender(opened: Opened, tokens: dict[str, str]) -> Browser:
    """An officer of the office that sends Cambodian trainees."""
    return await opened.browser(tokens[SENDER])


@pytest.fixture(scope="session")
def shared_certification(migrated_certification: str, tmp_path_factory: pytest.TempPathFactory) -> SharedApp:
    folder = tmp_path_factory.mktemp("certification")
    (folder / "secret").write_text("ab" * 32)
    (folder / "admin").write_text(ADMINISTRATOR)
    settings = CertificationSettings(
        database_url=migrated_certification,
        nats_url="nats://127.0.0.1:1",
        **broker_files(folder, "certification"),
        secret_file=folder / "secret",
        admin_token_file=folder / "admin",
    )
    return SharedApp(lambda: create_certification(settings))


@pytest.fixture
async def at_certification(migrated_certification: str, shared_certification: SharedApp) -> AsyncIterator[Opened]:
    """Certification, which has heard of a cohort, a trainee and the awarding body."""
    made = Database(migrated_certification, "certification")
    await certification.empty(made)
    parties = [{"office": office, "role": role} for office, role in ROLES.items()]
    authority = an_office(AUTHORITY, AUTHORITYS_TOKEN, ["recognition-authority"])
    await tell(made, an_office(BODY, BODYS_TOKEN), authority, a_cohort(parties=parties), a_trainee(trainee("001")))
    await made.close()
    app = shared_certification.fresh()
    async with app.router.lifespan_context(app), AsyncExitStack() as stack:
        yield Opened(app, stack)


__all__ = ["House", "Settings", "create_enrolment", "empty"]
