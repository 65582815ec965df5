"""Backups of the containers: what `sampan backup` and `sampan restore` do on one machine, step by step.

What runs `docker compose run --rm backup COMMAND` sees the volume of what is kept, the database and the folder of backups.
"""

import json
import sys
from pathlib import Path
from typing import Any

import typer

from services import recovery
from services.backups import Opened, Server, back_up, open_backup, put_data, put_secrets
from services.embedded import SUPERUSER
from services.processes import StandaloneError, write_whole

KEPT, BACKUPS = Path("/provision/kept"), Path("/backups")
AGAIN = "forgotten-again.ndjson"

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def key() -> None:
    """Make the recovery key, with which backups are opened, and print it, this once."""
    print(recovery.make(KEPT))  # noqa: T201 - what the command is for


@app.command()
def create() -> None:
    """Make a backup."""
    _say(f"{back_up(_server(), KEPT, BACKUPS).folder.name} is a backup.")


@app.command()
def secrets(name: str = "") -> None:
    """First step of a restore, before anything else was started: the secrets, with the recovery key on standard input."""
    put_secrets(_opened(name), KEPT)
    _say("The secrets are restored. Now: docker compose up --wait postgres")


@app.command()
def data(name: str = "") -> None:
    """Second step, with postgres alone running: the data, with the recovery key on standard input."""
    put_data(_opened(name), _server(), keep)
    _say(f"The data are restored. Now start everything and post {AGAIN}.")


def keep(again: list[dict[str, Any]]) -> None:
    """Write down what is to be posted once everything runs. Raises StandaloneError where that of another restore still is."""
    file, written = BACKUPS / AGAIN, "".join(f"{json.dumps(event)}\n" for event in again).encode()
    # Before it is posted nothing else says who is to be forgotten. What was interrupted and is done again writes the same.
    if file.exists() and file.read_bytes() not in (b"", written):
        raise StandaloneError(
            f"{AGAIN} is there, of another restore: if it was posted, or that restore is given up, move it away; then run "
            "`data` again."
        )
    write_whole(file, written, 0o644)
    _say(f"{len(again)} enrolments were forgotten since.")


def _opened(name: str) -> Opened:
    return open_backup(BACKUPS / name if name else BACKUPS, sys.stdin.buffer.readline().decode(errors="replace"))


def _server() -> Server:
    return Server("postgres", 5432, json.loads((KEPT / "passwords").read_text())[SUPERUSER])


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main() -> None:
    """Run the command; a user's mistake gets a sentence."""
    try:
        app(prog_name="backup")
    except (StandaloneError, OSError) as error:
        sys.exit(f"backup: {error}")


if __name__ == "__main__":
    main()
