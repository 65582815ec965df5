"""`sampan issuer`: who attests to certificates, and the keys that it signs with."""

import time
from datetime import datetime
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from services.client import Client
from services.commands.options import DATA, HERE, Data, Server, Token, connected, say
from services.errors import ClientError
from services.printing import wide

LOOK_SECONDS: Final = 0.5
STUCK_SECONDS: Final = 15.0
"""After so long without one document less that waits, whoever waits is told why."""

issuer_app = typer.Typer(no_args_is_help=True, help="What signs certificates' documents (administrator).")


@issuer_app.command("status", epilog="Example: `sampan issuer status --wait`")
def status(
    wait: Annotated[bool, typer.Option("--wait", help="Show how far it is until nothing waits any more.")] = False,
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """Who issues, how many documents are public and waiting, and every key with its days."""
    with connected(server, token, data) as client:
        state = _waited_for(client) if wait else client.get("certification", "/v1/issuer")
    if state["issuer"] is None:
        print("Nothing is issued: set SAMPAN_PUBLIC_URL to where certification can be reached, and start it again.")
    else:
        print(f"{state['name']} issues as {state['issuer']}.")
    public = ", ".join(f"{number} {standing}" for standing, number in state["attested"].items())
    print(f"Public: {public or 'nothing yet'}. {state['waiting']} wait for the issuer.")
    if state["problem"] and state["waiting"]:
        print(f"Some wait because {state['problem']}.")
    table = Table("key", "made", "signs", "documents", box=None, header_style="bold")
    for key in state["keys"]:
        table.add_row(str(key["key"]), _day(key["made"]), _signs(key), str(key["documents"]))
    if table.row_count:
        wide(Console()).print(table)


@issuer_app.command("rotate", epilog="Example: `sampan issuer rotate`")
def rotate(server: Server = HERE, token: Token = None, data: Data = DATA) -> None:
    """Make a new key that signs from now on. Documents that the old one signed stay good."""
    with connected(server, token, data) as client:
        made = client.post("certification", "/v1/issuer/keys/rotate")
    print(f"{made['key']} signs from now on; what was signed before stays good, and nobody has to do anything.")


@issuer_app.command("compromised", epilog="Example: `sampan issuer compromised 1`")
def compromised(
    key: Annotated[int, typer.Argument(min=1, help="The key's number: see `sampan issuer status`.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """Give up a key that somebody else may have: nothing that it signed verifies any more, and all of it is signed anew.

    Addresses and QR codes stay as they are. Files that holders keep have to be fetched again.
    """
    with connected(server, token, data) as client:
        there = {one["key"]: one for one in client.get("certification", "/v1/issuer")["keys"]}
        if key not in there:
            raise ClientError(f"There is no key {key}: `sampan issuer status` lists those that there are.")
        if there[key]["compromised"]:
            raise ClientError(f"Key {key} was given up on {_day(there[key]['compromised'])} already.")
        if not yes:
            typer.confirm(f"Every file that key {key} signed stops verifying, wherever it is. Go on?", abort=True)
        made = client.post("certification", f"/v1/issuer/keys/{key}/compromised")
    print(
        f"Key {key} is given up and destroyed. {made['signed_anew']} documents are being signed anew with {made['key']}: "
        "`sampan issuer status` shows how far it is."
    )


def _waited_for(client: Client) -> dict[str, Any]:
    """The state once nothing waits, or once what waits has not become less for a while."""
    state: dict[str, Any] = client.get("certification", "/v1/issuer")
    began = time.monotonic()
    least, since, all_of_it = state["waiting"], began, state["waiting"]
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]:.0f} a second"), TimeRemainingColumn())
    with Progress("Issuing", *columns, console=say, transient=True) as progress:
        task = progress.add_task("", total=all_of_it, rate=0.0)
        while state["waiting"] and state["issuer"] and time.monotonic() < since + STUCK_SECONDS:
            time.sleep(LOOK_SECONDS)
            now, state = time.monotonic(), client.get("certification", "/v1/issuer")
            if state["waiting"] < least:
                least, since = state["waiting"], now
            all_of_it = max(all_of_it, state["waiting"])  # others may be decided meanwhile
            done = all_of_it - state["waiting"]
            progress.update(task, total=all_of_it, completed=done, rate=done / (now - began))
    return state


def _signs(key: dict[str, str | None]) -> str:
    if key["compromised"]:
        return f"nothing: given up on {_day(key['compromised'])}"
    return f"no more since {_day(key['retired'])}; what it signed is good" if key["retired"] else "now"


def _day(moment: str | None) -> str:
    return datetime.fromisoformat(moment).date().isoformat() if moment else ""
