"""All three services' databases on the real PostgreSQL, migrated once per worker."""

from collections.abc import AsyncIterator

import pytest

from services.embedded import SERVICES
from shared.database import Database
from tests.integration.chain.issuing import Chain
from tests.integration.chain.test_issuing import STORY
from tests.integration.enrolment.house import House
from tests.servers import PostgresForTests


@pytest.fixture(scope="session")
def databases(postgres: PostgresForTests, migrated_database: str) -> dict[str, str]:
    """The addresses of each service's own part of the database."""
    return {service: postgres.url(service, migrated_database) for service in SERVICES}


@pytest.fixture
async def both(databases: dict[str, str]) -> AsyncIterator[tuple[House, Database]]:
    enrolment = Database(databases["enrolment"], "enrolment")
    own = Database(databases["certification"], "certification")
    yield House(enrolment), own
    await enrolment.close()
    await own.close()


@pytest.fixture
async def chain(both: tuple[House, Database]) -> Chain:
    """The story's two certificates, issued."""
    made = Chain(*both)

    async def tell() -> None:
        await made.live(*STORY)
        await made.issue()

    return await made.begin_after("the story of issuing, issued", tell)


@pytest.fixture
async def reporting(databases: dict[str, str]) -> AsyncIterator[Database]:
    made = Database(databases["reporting"], "reporting")
    yield made
    await made.close()
