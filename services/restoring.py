"""What was backed up, put into an empty data folder; it is done when every service has compared all that it holds."""

import asyncio
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from services import recovery, upkeep
from services.backups import DATA, PERSON_KEYS, SECRET_FILES, SECRETS, client, newest
from services.client import Client, Line
from services.embedded import SUPERUSER, EmbeddedPostgres
from services.person_keys import PersonKeys
from services.processes import StandaloneError, free_port, lock_folder, make_folder, write_whole
from services.standalone import PORTS, Standalone

UNFINISHED = "restoring"
"""A file in the data folder from the first step of a restore to its last."""
_EVENTS_AT_A_TIME = 500

Say = Callable[[str], None]


class Restored(NamedTuple):
    """How a restore went."""

    backup: Path
    forgotten: int
    """Enrolments that were forgotten since the backup, and are forgotten again."""
    differences: list[dict[str, str]]


def refuse_unfinished(data: Path) -> None:
    """Raise StandaloneError where a restore has begun and not ended: the forgotten may still be in it."""
    if (data / UNFINISHED).exists():
        raise StandaloneError(f"A restore into {data} has not ended: empty the folder and restore again.")


def restore(backups: Path, data: Path, key: str, say: Say) -> Restored:
    """Restore the newest backup of a folder, or the one that is named, into an empty data folder.

    Raises StandaloneError; the data folder is then left for whoever wants to see what happened, and nothing starts on it.
    """
    backup, data = newest(backups.absolute()), data.absolute()
    secrets = json.loads(recovery.unseal(key, _there(backup / SECRETS)))
    keys = PersonKeys.from_bytes(recovery.unseal(key, _there(backup.parent / PERSON_KEYS)))
    _there(backup / DATA)
    if data.exists() and any(data.iterdir()):
        raise StandaloneError(
            f"{data} is not empty, and a restore overwrites nothing: choose another folder with --data."
        )
    make_folder(data)
    write_whole(data / UNFINISHED, f"{backup}\n", 0o600)
    with lock_folder(data):
        _keep(secrets, data / "secrets")
        (data / "logs").mkdir(mode=0o700)
        with EmbeddedPostgres(data / "postgres", log=data / "logs" / "postgresql.log") as postgres:
            say(f"the database is read from {backup / DATA}")
            again = _read(postgres, backup / DATA, keys)
    say("streams are made anew from the journals, in a new epoch")
    with (
        Standalone(data, _to_ourselves()) as sampan,
        Client(sampan.urls["enrolment"], sampan.admin_token, meanwhile=sampan.look) as administrator,
    ):
        _forget(administrator, again)
        if again:
            say(f"{len(again)} enrolments that were forgotten since are forgotten again")
        differences = upkeep.check(administrator, say)
    (data / UNFINISHED).unlink()
    return Restored(backup, len(again), differences)


def _there(file: Path) -> Path:
    if not file.is_file():
        raise StandaloneError(
            f"{file} is missing: a backup is {DATA} and {SECRETS}, with {PERSON_KEYS} beside their folder."
        )
    return file


def _keep(secrets: Mapping[str, str], folder: Path) -> None:
    folder.mkdir(mode=0o700)
    for name in SECRET_FILES:
        if name in secrets:
            write_whole(folder / name, secrets[name] + "\n", 0o600)


def _read(postgres: EmbeddedPostgres, file: Path, keys: PersonKeys) -> list[dict[str, Any]]:
    """Read data and keys into a database of nothing; the events of forgetting that are to be posted."""

    async def anew() -> None:
        connection = await asyncpg.connect(_url(postgres, "postgres"))
        try:
            await connection.execute("DROP DATABASE sampan")
            await connection.execute("CREATE DATABASE sampan TEMPLATE template0")
        finally:
            await connection.close()

    async def put() -> list[dict[str, Any]]:
        connection = await asyncpg.connect(_url(postgres, "sampan"))
        try:
            return await keys.put(connection)
        finally:
            await connection.close()

    asyncio.run(anew())
    client(postgres, "pg_restore", "--exit-on-error", "--dbname=sampan", str(file))
    try:
        return asyncio.run(put())
    except LookupError:
        raise StandaloneError(
            f"{PERSON_KEYS} is older than {file}, and lacks the keys of whoever came since: "
            "put the newest one in its place. Each backup replaces it, and it must never be put back to an older one."
        ) from None


def _forget(administrator: Client, events: list[dict[str, Any]]) -> None:
    lines = [Line("person keys", 0, "enrolment", event["source"], json.dumps(event).encode()) for event in events]
    counts: Counter[str] = Counter()
    for first in range(0, len(lines), _EVENTS_AT_A_TIME):
        receipts = administrator.post_events(lines[first : first + _EVENTS_AT_A_TIME])["receipts"]
        # `waiting`: for somebody who came after the backup; they are forgotten as soon as they come again.
        counts.update(one["code"] for one in receipts if one["status"] not in {"accepted", "duplicate", "waiting"})
    if counts:
        told = ", ".join(f"{number} {code}" for code, number in sorted(counts.items()))
        raise StandaloneError(f"Not everybody who was forgotten since could be forgotten again ({told}): tell us.")


def _to_ourselves() -> dict[str, str]:
    """Settings under which nobody else finds the services, and nothing is issued, before all of it is done."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SAMPAN_")}
    return own | {variable: str(free_port()) for variable, _ in PORTS.values()}


def _url(postgres: EmbeddedPostgres, database: str) -> str:
    return postgres.url(SUPERUSER, database).replace("+asyncpg", "")
