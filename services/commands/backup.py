"""`sampan backup` and `sampan restore`: everything that cannot be made again, and back."""

from pathlib import Path
from typing import Annotated

import typer

from services.backups import PERSON_KEYS, back_up, served
from services.commands.options import DATA, Data, say, say_indented
from services.processes import StandaloneError
from services.recovery import written
from services.restoring import refuse_unfinished
from services.restoring import restore as restored

app = typer.Typer()


@app.command(epilog="Example: `sampan backup /media/backups --data /var/lib/sampan`")
def backup(
    folder: Annotated[Path, typer.Argument(help="The folder of backups: each makes a folder in it.")], data: Data = DATA
) -> None:
    """Back up the data folder of `sampan up`, whether it runs or not: the databases, and its keys sealed for the recovery key.

    The keys of personal details are a file of their own, of which only the newest may be kept: docs/backup.md.
    """
    # Until a restore has ended, the keys do not say of everybody that they are to be forgotten; and the file would be replaced.
    refuse_unfinished(data)
    try:
        with served(data.absolute()) as server:
            made = back_up(server, data / "secrets", folder)
    except OSError as error:
        raise StandaloneError(f"{error.filename or folder} cannot be used: {error.strerror}.") from error
    print(f"{made.folder} is a backup; the keys of {made.keys} persons' places are in {folder / PERSON_KEYS}.")


@app.command(epilog="Example: `sampan restore /media/backups --data /var/lib/sampan --recovery-key key.txt`")
def restore(
    folder: Annotated[Path, typer.Argument(help="The folder of backups, for the newest; or one of them.")],
    recovery_key: Annotated[
        Path | None, typer.Option(help="A file with the recovery key. Without it, it is asked for.")
    ] = None,
    data: Data = DATA,
) -> None:
    """Restore a backup into an empty data folder; exit 1 if the services then find any difference in what they hold.

    Streams are made anew from the journals in a new epoch, and whoever was forgotten since is forgotten again.
    """
    try:
        key = written(recovery_key) if recovery_key else typer.prompt("The recovery key", hide_input=True, err=True)
        done = restored(folder, data, key, say_indented)
    except OSError as error:
        raise StandaloneError(f"{error.filename or folder} cannot be used: {error.strerror}.") from error
    for line in done.differences:
        print(f"{line['service']}: {line['what']} {line['which']}: {line['problem']}")
    if done.differences:
        say.print(
            "It is restored, but not all of it is what it was made from: see the lines above, and docs/backup.md."
        )
        raise typer.Exit(1)
    print(
        f"{done.backup} is restored into {data}: all that the services hold is what it was made from.\n"
        f"{done.forgotten} enrolments that were forgotten since are forgotten again.\n"
        "There is a new administrator's token. What else to do now is in docs/backup.md."
    )
