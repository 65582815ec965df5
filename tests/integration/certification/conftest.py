"""Certification on the real PostgreSQL: migrated once per worker, emptied for each test."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from services.certification.tables import Base
from shared.database import Database
from tests.emptying import clear
from tests.servers import PostgresForTests


@pytest.fixture(scope="session")
def migrated(postgres: PostgresForTests, migrated_database: str) -> str:
    """The address of a database that certification's migrations have made."""
    return postgres.url("certification", migrated_database)


@pytest.fixture
async def database(migrated: str) -> AsyncIterator[Database]:
    made = Database(migrated, "certification")
    await empty(made)
    yield made
    await made.close()


async def empty(database: Database) -> None:
    """As after the migration."""
    async with database.transaction() as session:
        await clear(session, Base.metadata)
        await session.execute(text("INSERT INTO outbox_head (id, epoch, position) VALUES (1, 1, 0)"))
