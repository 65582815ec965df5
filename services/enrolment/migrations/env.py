"""Alembic's entry: the database that the environment names, enrolment's schema."""

import asyncio
import os

from alembic import context
from sqlalchemy import Connection

from shared.database import Database


def migrate(connection: Connection) -> None:
    context.configure(connection=connection)  # no metadata: loading the tables takes longer than making them
    with context.begin_transaction():
        context.run_migrations()


async def main() -> None:
    database = Database(os.environ["SAMPAN_DATABASE_URL"], "enrolment")
    try:
        async with database.unhurried_connection() as connection, connection.begin():
            await connection.run_sync(migrate)
    finally:
        await database.close()


asyncio.run(main())
