"""What was backed up, put into an empty data folder; it is done when every service has compared all that it holds."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from services import upkeep
from services.backups import Opened, Server, open_backup, put_data, put_secrets
from services.client import Client
from services.embedded import EmbeddedPostgres, check_way
from services.eventfiles import Line
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
    """Raise StandaloneError where a restore has begun and not ended, and where we may not look.

    Whoever is to be forgotten may still be in what was half restored.
    """
    try:
        unfinished = (data / UNFINISHED).exists()
    except OSError as error:
        raise StandaloneError(f"The data folder {data} cannot be used: {error}.") from error
    if unfinished:
        raise StandaloneError(f"A restore into {data} has not ended: empty the folder and restore again.")


def restore(backups: Path, data: Path, key: str, say: Say) -> Restored:
    """Restore the newest backup of a folder, or the one that is named, into an empty data folder.

    Raises StandaloneError; the data folder is then left for whoever wants to see what happened, and nothing starts on it.
    """
    backup, data = open_backup(backups, key), data.absolute()
    if data.exists() and any(data.iterdir()):
        raise StandaloneError(
            f"{data} is not empty, and a restore overwrites nothing: choose another folder with --data."
        )
    check_way(data)
    make_folder(data)
    write_whole(data / UNFINISHED, f"{backup.folder}\n", 0o600)
    with lock_folder(data):
        for private in ("logs", "secrets"):
            (data / private).mkdir(mode=0o700)
        put_secrets(backup, data / "secrets")
        with EmbeddedPostgres(data / "postgres", log=data / "logs" / "postgresql.log") as postgres:
            say(f"the database is read from {backup.folder}")
            again: list[dict[str, Any]] = []
            put_data(backup, Server.of(postgres), again.extend)
    say("streams are made anew from the journals, in a new epoch")
    with (
        Standalone(data, _to_ourselves()) as sampan,
        Client(sampan.urls["enrolment"], sampan.admin_token, meanwhile=sampan.look) as administrator,
    ):
        _forget(administrator, again)
        if left := asyncio.run(_left(backup, Server.of(sampan.postgres))):
            raise StandaloneError(f"{left} enrolments that were forgotten since could not be forgotten again: tell us.")
        differences = upkeep.check(administrator, say)
    (data / UNFINISHED).unlink()
    return Restored(backup.folder, len(again), differences)


def _forget(administrator: Client, events: list[dict[str, Any]]) -> None:
    lines = [Line("person keys", 0, "enrolment", event["source"], json.dumps(event).encode()) for event in events]
    for first in range(0, len(lines), _EVENTS_AT_A_TIME):
        administrator.post_events(lines[first : first + _EVENTS_AT_A_TIME])


async def _left(backup: Opened, server: Server) -> int:
    # What counts is who is forgotten, not how an event stands: it may wait for somebody who came after the backup.
    connection = await server.connect()
    try:
        return await backup.keys.left(connection)
    finally:
        await connection.close()


def _to_ourselves() -> dict[str, str]:
    """Settings under which nobody else finds the services, and nothing is issued, before all of it is done."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SAMPAN_")}
    return own | {variable: str(free_port()) for variable, _ in PORTS.values()}
