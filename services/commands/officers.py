"""`sampan office rotate` and `credentials`, `sampan token rotate`: officers' tokens and credentials, renewed without a gap."""

from pathlib import Path
from typing import Annotated

import typer

from services.commands.offices import office_app, office_named, write_credentials
from services.commands.options import DATA, HERE, Data, Server, Token, connected
from services.errors import ClientError

token_app = typer.Typer(no_args_is_help=True, help="Your own token.")

Office = Annotated[str, typer.Argument(help="Country and code, such as kh/dgtvet.")]
Officer = Annotated[str, typer.Option(help="Whose it is: the code it was made for.")]
Days = Annotated[int, typer.Option(min=1, max=3650, help="Days until it expires.")]
Overlap = Annotated[int, typer.Option(min=0, max=168, help="Hours for which the older tokens stay good.")]


@office_app.command("rotate", epilog="Example: `sampan office rotate kh/dgtvet --officer desk-1`")
def office_rotate(
    office: Office,
    officer: Officer = "officer",
    overlap: Overlap = 24,
    days: Days = 365,
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """Make a new token for an officer, good at once; the officer's older ones stay good for the overlap and end then."""
    country, code = office_named(office)
    path = f"/v1/offices/{country}/{code}/officers/{officer}/rotate?overlap_hours={overlap}&expires_days={days}"
    with connected(server, token, data) as client:
        _show(client.change("POST", "enrolment", path))


@token_app.command("rotate", epilog="Example: `sampan token rotate`")
def token_rotate(
    overlap: Overlap = 24,
    days: Annotated[int, typer.Option(min=1, max=365, help="Days until it expires.")] = 365,
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """Make yourself a new token, good at once; the one you have now stays good for the overlap and ends then."""
    if token is None:
        raise ClientError("Give the token that you have now with --token or SAMPAN_TOKEN.")
    with connected(server, token, data) as client:
        _show(client.change("POST", "enrolment", f"/v1/tokens/rotate?overlap_hours={overlap}&expires_days={days}"))


@office_app.command("credentials", epilog="Example: `sampan office credentials kh/dgtvet --file dgtvet.creds`")
def office_credentials(
    office: Office,
    officer: Officer = "officer",
    days: Days = 365,
    file: Annotated[Path | None, typer.Option(help="Write them to this file; without it they are printed.")] = None,
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """Make NATS credentials for an officer. Older ones stay good until they expire or the officer is revoked."""
    country, code = office_named(office)
    if file is not None and file.exists():
        raise ClientError(f"{file} is there already: name another file for the credentials.")
    with connected(server, token, data) as client:
        made = client.change(
            "POST", "enrolment", f"/v1/offices/{country}/{code}/officers/{officer}/credentials?expires_days={days}"
        )
    if file is None:
        print(made["nats"]["credentials"])
        return
    write_credentials(file, made["nats"]["credentials"])
    print(f"The credentials of {officer} of {made['office']} are in {file}, and good until {made['expires'][:10]}.")


def _show(rotated: dict[str, str]) -> None:
    print(
        f"""
New token of {rotated["officer"]} of {rotated["office"]}, good from now until {rotated["expires"][:10]}:

  {rotated["token"]}

The older ones end at {rotated["others_end"][:16]} (UTC) at the latest: put this one into their place before. It is shown this
once, and nobody can look it up. Other services know it as soon as they hear of it, normally within a second."""
    )
