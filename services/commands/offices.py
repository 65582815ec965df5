"""`sampan office`: who may call."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from services.commands.options import DATA, HERE, Data, Server, Token, connected, say
from services.errors import ClientError
from services.printing import wide
from shared.events.codes import SOURCE_PATTERN

office_app = typer.Typer(no_args_is_help=True, help="Offices and their officers' tokens (administrator).")


@office_app.command("add", epilog="Example: `sampan office add kh/dgtvet --name 'DGTVET' --role sending-office`")
def office_add(
    office: Annotated[str, typer.Argument(help="Country and code, such as kh/dgtvet.")],
    name: Annotated[str, typer.Option(help="The office's name.")],
    role: Annotated[
        list[str],
        typer.Option(
            help="coordinator, sending-office, host-centre, awarding-body, recognition-authority or reader; repeatable."
        ),
    ],
    officer: Annotated[str, typer.Option(help="Who holds this token: a code such as desk-1, not a name.")] = "officer",
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days until the token expires.")] = 365,
    credentials: Annotated[
        Path | None, typer.Option(help="Write the NATS credentials to this file; without it they end the sheet.")
    ] = None,
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """Register an office, or one more officer of it, and print a hand-over sheet with token and credentials, once."""
    country, code = office_named(office)
    if credentials is not None and credentials.exists():
        raise ClientError(f"{credentials} is there already: name another file for the credentials.")
    body = {
        "office": f"/offices/{country}/{code}",
        "name": name,
        "roles": role,
        "officer": officer,
        "expires_days": days,
    }
    with connected(server, token, data) as client:
        added = client.add_office(body)
        enrolment, certification = client.address("enrolment"), client.address("certification")
        reporting = client.address("reporting")
    nats = added["nats"]
    where = "below" if credentials is None else f"in {credentials}"
    if credentials is not None:
        write_credentials(credentials, nats["credentials"])
    print(
        f"""
HAND-OVER SHEET for {officer} of {name}

  Office      /offices/{country}/{code}   (the source of every event you post)
  Roles       {", ".join(role)}
  Token       {added["token"]}
  Expires     {added["expires"][:10]}

  In a browser        {enrolment}/       (cohorts and trainees)
                      {certification}/       (marks and certificates)
                      {reporting}/       (figures)
  Post events to      {enrolment}/v1/events       (programmes, cohorts, trainees)
                      {certification}/v1/events       (schemes, assessments, certificates)
  Or post over NATS   {nats["url"]}, on intake.enrolment.{country}.{code} and intake.certification.{country}.{code}
    with              the credentials {where}, inbox prefix {nats["inbox_prefix"]}
    receipts          stream RECEIPTS, durable {nats["durable"]}

  1. Keep token and credentials where only you can read them. They are shown this once, and nobody can look them up.
  2. In a browser: open one of the addresses and type the token. There is a guide in five languages, and a roster to
     download, fill in and send.
     Or post a roster, or a file of events, one JSON event to a line:
       export SAMPAN_TOKEN='...the token...'
       sampan post roster.xlsx --server {enrolment}
       sampan post events.ndjson --server {enrolment}
     or with any program that speaks HTTP:
       curl -H "Authorization: Bearer $SAMPAN_TOKEN" -H 'Content-Type: application/x-ndjson' \\
            --data-binary @events.ndjson {enrolment}/v1/events
  3. Read the receipts: accepted and duplicate need nothing; waiting and conflict say what would resolve them;
     rejected says what to mend. Sending a file twice is safe.
  4. If either is lost or seen by others, tell the administrator at once: sampan office revoke {country}/{code}
"""
    )
    if credentials is None:
        print(nats["credentials"])


@office_app.command("list", epilog="Example: `sampan office list`")
def office_list(server: Server = HERE, token: Token = None, data: Data = DATA) -> None:
    """The registered offices."""
    with connected(server, token, data) as client:
        offices = list(client.every("enrolment", "/v1/offices"))
    table = Table("office", "name", "roles", "status", "officers", box=None, header_style="bold")
    for line in offices:
        officers = ", ".join(f"{token['officer']} (until {token['expires'][:10]})" for token in line["tokens"])
        table.add_row(line["office"], line["name"], ", ".join(line["roles"]), line["status"], officers)
    wide(Console()).print(table)


@office_app.command("revoke", epilog="Example: `sampan office revoke kh/dgtvet`")
def office_revoke(
    office: Annotated[str, typer.Argument(help="Country and code, such as kh/dgtvet.")],
    officer: Annotated[str | None, typer.Option(help="Only this officer's; the others keep theirs.")] = None,
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """Revoke an office with all its officers' tokens and NATS credentials, or one officer's. What was posted stays."""
    country, code = office_named(office)
    with connected(server, token, data) as client:
        client.revoke_office(country, code, officer)
    who = f"/offices/{country}/{code}" if officer is None else f"{officer} of /offices/{country}/{code}"
    print(
        f"{who} is revoked: enrolment refuses its tokens at once, the other services and the broker as\n"
        "soon as they hear of it (normally within a second; while the broker is away, when it is back)."
    )


def office_named(text: str) -> tuple[str, str]:
    country, slash, code = text.removeprefix("/offices/").partition("/")
    if not slash or not re.fullmatch(SOURCE_PATTERN, f"/offices/{country}/{code}"):
        raise ClientError(f"{text}: name the office by country and code in small letters, such as kh/dgtvet.")
    return country, code


def write_credentials(path: Path, text: str) -> None:
    """Put credentials into a new file that only its owner can read; they are printed when that fails."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    except OSError as error:
        # The office is registered by now: what it was given must not be lost.
        print(text)
        say.print(f"{path} cannot be written ({error.strerror}): the credentials are above.", markup=False)
