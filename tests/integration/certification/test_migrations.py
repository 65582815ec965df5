"""The migrations make the tables that the models describe."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from services.certification.tables import Base
from shared.database import Database


async def test_models_and_migrations_agree(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return [one for one in compare_metadata(context, Base.metadata) if "alembic_version" not in str(one)]

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
