"""Enrolment on the real PostgreSQL: migrated once per worker, emptied for each test."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import httpx
import pytest
from fastapi import FastAPI
from nats.js import JetStreamContext

from services.enrolment.app import create
from services.enrolment.settings import Settings
from shared.database import Database
from tests.apps import SharedApp
from tests.contract.answers import as_documented
from tests.integration.enrolment.house import ADMINISTRATOR, BEARER, House, empty
from tests.servers import NatsForTests, PostgresForTests, broker_files


@pytest.fixture(scope="session")
def migrated(postgres: PostgresForTests, migrated_database: str) -> str:
    """The address of a database that enrolment's migrations have made."""
    return postgres.url("enrolment", migrated_database)


@pytest.fixture
async def database(migrated: str) -> AsyncIterator[Database]:
    made = Database(migrated, "enrolment")
    await empty(made)
    yield made
    await made.close()


@pytest.fixture
def house(database: Database) -> House:
    """Enrolment's handlers, with every office of the story registered."""
    return House(database)


@pytest.fixture(scope="session")
def settings(migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Of an enrolment whose broker is away."""
    folder = tmp_path_factory.mktemp("enrolment")
    (folder / "secret").write_text("01" * 32)
    (folder / "admin-token").write_text(f"{ADMINISTRATOR}\n")
    return Settings(
        database_url=migrated,
        nats_url="nats://127.0.0.1:1",
        **broker_files(folder, "enrolment"),
        secret_file=folder / "secret",
        admin_token_file=folder / "admin-token",
    )


@pytest.fixture(scope="session")
def shared_app(settings: Settings) -> SharedApp:
    return SharedApp(lambda: create(settings))


@pytest.fixture
def app(database: Database, shared_app: SharedApp) -> FastAPI:
    return shared_app.fresh()


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The administrator, over HTTP; the broker is away."""
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://enrolment",
            headers=BEARER,
            event_hooks=as_documented("enrolment"),
        ) as asking,
    ):
        yield asking


@pytest.fixture
async def river(nats_server: NatsForTests) -> AsyncIterator[JetStreamContext]:
    """A connection of the test's own, on a broker without streams."""
    connection = await nats_server.connect()
    stream = connection.jetstream(timeout=5)
    for info in await stream.streams_info():
        await stream.delete_stream(info.config.name or "")
    yield stream
    await connection.close()


@pytest.fixture
async def service(
    database: Database, settings: Settings, nats_server: NatsForTests, river: JetStreamContext, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    files = broker_files(tmp_path, "enrolment", nats_server.keys)
    app = create(settings.model_copy(update={"nats_url": nats_server.url, **files}))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://enrolment",
            headers=BEARER,
            event_hooks=as_documented("enrolment"),
        ) as client,
    ):
        deadline = monotonic() + 20
        while (await client.get("/readyz")).status_code != 200:
            assert monotonic() < deadline, (await client.get("/readyz")).text
            await asyncio.sleep(0.05)
        yield client
