"""`sampan audit`: who did what."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from services import upkeep
from services.commands.options import DATA, HERE, Data, Server, Token, connected
from services.commands.upkeep import Service
from services.printing import wide

audit_app = typer.Typer(
    no_args_is_help=True, help="Who did what, in a trail that nobody changes unnoticed (administrator)."
)


@audit_app.command("list", epilog="Example: `sampan audit list --office kh/dgtvet --action token.rotated`")
def audit_list(
    service: Annotated[Service, typer.Option(help="Each service has a trail of its own.")] = Service.ENROLMENT,
    office: Annotated[str | None, typer.Option(help="Only this office's acts, such as kh/dgtvet.")] = None,
    officer: Annotated[str | None, typer.Option(help="Only this officer's.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this kind, such as office.registered.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only what was done to this, by its id.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only what stands after this place.")] = 0,
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """Acts in their order: who did what to what, and when."""
    source = None if office is None else f"/offices/{office.removeprefix('/offices/')}"
    given = {"office": source, "officer": officer, "action": action, "subject": subject, "after": str(after)}
    only = [(name, value) for name, value in given.items() if value is not None]
    table = Table("place", "time", "office", "officer", "action", "subject", "number", box=None, header_style="bold")
    with connected(server, token, data) as client:
        for line in client.every(service.value, "/v1/audit", only):
            who = (line["office"] or "-", line["officer"])
            what = (line["action"], line["subject"] or "-", str(line["number"]))
            table.add_row(str(line["place"]), line["time"][:19], *who, *what)
    if table.row_count:
        wide(Console()).print(table)
    else:
        print("There are no such acts.")


@audit_app.command("head", epilog="Example: `sampan audit head`")
def audit_head(server: Server = HERE, token: Token = None, data: Data = DATA) -> None:
    """How far each service's trail reaches, and its digest there: to be written down where nobody here can change it."""
    with connected(server, token, data) as client:
        for service in upkeep.SERVICES:
            head = client.get(service, "/v1/audit/head")
            print(f"{service} {head['place']} {head['digest']}")
