"""What tests see and do behind the program's doors, here and in the containers: its database, its broker, its logs."""

import asyncio
from typing import Protocol

import asyncpg
import psutil
from nats.aio.client import Client

from shared.credentials import Keys
from tests.e2e import containers
from tests.e2e.conftest import ELSEWHERE, Program, kill_service
from tests.servers import connect_with_every_right

SERVICES = ("enrolment", "certification", "reporting")


class Inside(Protocol):
    def change(self, service: str, *statements: str) -> None:
        """Execute in the service's schema, all or nothing; an UPDATE or DELETE must find something."""

    def tables(self) -> dict[str, str]:
        """All that is in the database, by place."""

    def logs(self) -> dict[str, str]:
        """Every log, by its name."""

    def kill(self, service: str) -> None:
        """As the kernel does when memory is short."""

    async def broker(self) -> Client:
        """A connection with every right, made with the keys that the program keeps."""


def inside(program: Program) -> Inside:
    return _Containers() if ELSEWHERE is not None else _Processes(program)


class _Processes:
    """Of `sampan up`."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def change(self, service: str, *statements: str) -> None:
        async def execute() -> None:
            connection = await asyncpg.connect(self._database(service))
            try:
                async with connection.transaction():
                    await connection.execute(f"SET search_path TO {service}")
                    for statement in statements:
                        _expect_some(statement, await connection.execute(statement))
            finally:
                await connection.close()

        asyncio.run(execute())

    def tables(self) -> dict[str, str]:
        async def read() -> dict[str, str]:
            found = {}
            for service in SERVICES:
                database = await asyncpg.connect(self._database(service))
                names = await database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", service)
                for (table,) in names:
                    rows = await database.fetch(f'SELECT t::text FROM "{service}"."{table}" t')  # noqa: S608
                    found[f"{service}.{table}"] = "\n".join(row[0] for row in rows)
                await database.close()
            return found

        return asyncio.run(read())

    def logs(self) -> dict[str, str]:
        return {log.stem: log.read_text(errors="replace") for log in (self._program.folder / "logs").iterdir()}

    def kill(self, service: str) -> None:
        assert self._program.process is not None
        kill_service(self._program.process, service)

    async def broker(self) -> Client:
        keys = Keys.from_text((self._program.folder / "secrets" / "nats-keys").read_text())
        return await connect_with_every_right(f"nats://127.0.0.1:{self._program.env['SAMPAN_NATS_PORT']}", keys)

    def _database(self, service: str) -> str:
        assert self._program.process is not None
        for child in psutil.Process(self._program.process.pid).children():
            url = child.environ().get("SAMPAN_DATABASE_URL", "")
            if f"//{service}:" in url:
                return url.replace("+asyncpg", "")
        raise AssertionError(f"{service} is not running")


class _Containers:
    """Of docker-compose.yml, started from this folder."""

    def change(self, service: str, *statements: str) -> None:
        whole = ";\n".join([f"SET ROLE {service}", f"SET search_path TO {service}", *statements]) + ";\n"
        said = containers.psql("--single-transaction", "-f", "-", given=whole)
        for line in said.splitlines():
            _expect_some(whole, line)

    def tables(self) -> dict[str, str]:
        names = containers.sql("SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = tableowner")
        assert {name.split(".")[0] for name in names.split()} == set(SERVICES)
        return {name: containers.sql(f"SELECT t::text FROM {name} t") for name in names.split()}  # noqa: S608

    def logs(self) -> dict[str, str]:
        names = containers.compose("ps", "--all", "--services").split()
        return {name: containers.compose("logs", "--no-color", name) for name in names}

    def kill(self, service: str) -> None:
        containers.kill(service)

    async def broker(self) -> Client:
        # Only provision may see what is kept.
        kept = ("run", "--rm", "--no-deps", "--entrypoint", "cat", "provision", "/provision/kept/nats-keys")
        address = containers.compose("port", "nats", "4222").strip()
        return await connect_with_every_right(f"nats://{address}", Keys.from_text(containers.compose(*kept)))


def _expect_some(statement: str, said: str) -> None:
    assert said not in ("UPDATE 0", "DELETE 0"), statement
