"""`sampan check`, `sampan rebuild` and `sampan deadletters`: what an administrator does."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from services import upkeep
from services.commands.options import DATA, HERE, Data, Server, Token, connected, say, say_indented
from services.printing import wide

app = typer.Typer()
deadletter_app = typer.Typer(no_args_is_help=True, help="Messages that no handler could settle (administrator).")


class Service(StrEnum):
    ENROLMENT = "enrolment"
    CERTIFICATION = "certification"
    REPORTING = "reporting"


class RebuiltService(StrEnum):
    REPORTING = "reporting"


LetterService = Annotated[Service, typer.Argument(help="The service that could not settle it.")]
LetterNumber = Annotated[int, typer.Argument(min=1, help="Its id at that service: see `sampan deadletters list`.")]


@app.command(epilog="Example: `sampan check`")
def check(
    heads: Annotated[
        Path | None,
        typer.Option(help="Compare the audit trails with this file of heads, then write the new ones to it."),
    ] = None,
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """Have every service recompute what it holds; exit 1 on any difference, naming it (administrator).

    States are compared with their events, streams with journals, rows with facts, the cube with a recount, audit trails with
    their digests; also while events come in.
    """
    with connected(server, token, data) as client:
        differences = upkeep.check(client, say_indented, upkeep.Heads(heads) if heads else None)
    for line in differences:
        print(f"{line['service']}: {line['what']} {line['which']}: {line['problem']}")
    if differences:
        say.print("What the services hold is not what it was made from: see the lines above.")
        raise typer.Exit(1)
    print("All that the services hold is what it was made from.")


@app.command(epilog="Example: `sampan rebuild reporting`")
def rebuild(
    service: Annotated[RebuiltService, typer.Argument(help="Only reporting can be made anew from the others.")],
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """Make reporting's rows and cube anew from the streams (administrator).

    Figures are answered and kept up meanwhile; at the end whatever differed is put right, and what was known earlier stays known.
    """
    with connected(server, token, data) as client, Progress(console=say, transient=True) as progress:
        task = progress.add_task("Reading the facts", total=None)
        state = upkeep.rebuild_reporting(
            client, lambda read, whole: progress.update(task, completed=read, total=max(whole, read))
        )
    rate = f"{state['facts'] / max(state['seconds'], 0.1):,.0f} a second"
    print(f"{service.value} is made anew from {state['facts']} facts, in {state['seconds']} s ({rate}).")
    if state["corrected"]:
        print(f"{state['corrected']} rows and cells were not what the facts give, and are put right.")
    else:
        print("Nothing was otherwise: the cube is the same as before.")


@deadletter_app.command("list", epilog="Example: `sampan deadletters list`")
def deadletters_list(server: Server = HERE, token: Token = None, data: Data = DATA) -> None:
    """Every service's messages that no handler could settle, without their bodies."""
    table = Table("service", "id", "message", "subject", "error", "since", "kept until", box=None, header_style="bold")
    with connected(server, token, data) as client:
        for service, letter in upkeep.dead_letters(client):
            message = f"{letter['stream']} {letter['sequence']}"
            since, until = letter["recordedtime"][:16], letter["expires"][:10]
            table.add_row(service, str(letter["id"]), message, letter["subject"], letter["error"], since, until)
    if table.row_count:
        wide(Console()).print(table)
    else:
        print("There are no dead letters.")


@deadletter_app.command("show", epilog="Example: `sampan deadletters show enrolment 3`")
def deadletters_show(
    service: LetterService, number: LetterNumber, server: Server = HERE, token: Token = None, data: Data = DATA
) -> None:
    """One dead letter as JSON, with its body: it may hold personal details, and reading it is logged."""
    with connected(server, token, data) as client:
        print(json.dumps(client.get(service.value, f"/v1/deadletters/{number}"), ensure_ascii=False, indent=2))


@deadletter_app.command("replay", epilog="Example: `sampan deadletters replay enrolment 3`")
def deadletters_replay(
    service: LetterService,
    numbers: Annotated[list[int] | None, typer.Argument(min=1, help="Ids; all of the service's without any.")] = None,
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """Handle dead letters once more, oldest first; exit 1 if any failed again. What succeeds is removed."""
    failed = 0
    with connected(server, token, data) as client:
        for number in numbers or upkeep.numbers_of(client, service.value):
            why = upkeep.replay(client, service.value, number)
            failed += why is not None
            print(f"{service.value} {number}: {why or 'replayed, and removed'}")
    if failed:
        raise typer.Exit(1)
