"""The `sampan` command."""

import csv
import json
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from services import demo as demonstration
from services import upkeep
from services.client import Client, ClientError, batches, read_events
from services.printing import print_demo, print_table, wide
from services.processes import StandaloneError
from services.simulate import simulate as simulated
from services.standalone import Standalone
from shared.events.codes import SOURCE_PATTERN

app = typer.Typer(
    name="sampan",
    help="Skills programmes across countries: post cohort events, see the same records and figures everywhere.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
office_app = typer.Typer(no_args_is_help=True, help="Offices and their officers' tokens (administrator).")
app.add_typer(office_app, name="office")
deadletter_app = typer.Typer(no_args_is_help=True, help="Messages that no handler could settle (administrator).")
app.add_typer(deadletter_app, name="deadletters")

say = Console(stderr=True, highlight=False, soft_wrap=True)

DATA = Path("data")


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class Service(StrEnum):
    ENROLMENT = "enrolment"
    CERTIFICATION = "certification"
    REPORTING = "reporting"


class RebuiltService(StrEnum):
    REPORTING = "reporting"


LetterService = Annotated[Service, typer.Argument(help="The service that could not settle it.")]
LetterNumber = Annotated[int, typer.Argument(min=1, help="Its id at that service: see `sampan deadletters list`.")]
Data = Annotated[
    Path, typer.Option("--data", envvar="SAMPAN_DATA", help="The folder that `sampan up` keeps everything in.")
]
Server = Annotated[
    str, typer.Option("--server", envvar="SAMPAN_SERVER", help="Address of any of the services, here or elsewhere.")
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token", envvar="SAMPAN_TOKEN", help="Your office's token. Without it: the administrator's, from --data."
    ),
]
HERE = "http://127.0.0.1:8001"


@app.command(epilog="Example: `sampan up --data /var/lib/sampan`")
def up(data: Data = DATA) -> None:
    """Run the whole program on this machine until Ctrl-C; a second start carries on with the same data."""
    with Standalone(data) as sampan, suppress(KeyboardInterrupt):  # from here on, Ctrl-C is how it ends
        _say_addresses(sampan)
        _stay_up(sampan, "Stop it with Ctrl-C.")


@app.command(epilog="Example: `sampan demo --once --json`")
def demo(
    once: Annotated[bool, typer.Option("--once", help="Show the report and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON on standard output.")] = False,
    events: Annotated[Path, typer.Option(help="Another file of events, in any order.")] = demonstration.EXAMPLE,
) -> None:
    """Start on a fresh folder, post the first cohort's events as its offices would, and show the report."""
    lines = read_events(events)
    with tempfile.TemporaryDirectory(prefix="sampan-demo-") as folder, Standalone(Path(folder)) as sampan:
        say.print(f"Sampan runs; {len(lines)} events of {events.name} are posted by their offices:")
        with Client(sampan.urls["enrolment"], sampan.admin_token, meanwhile=sampan.look) as client:
            counts = demonstration.post_as_offices(client, lines, _say_indented)
            say.print("Receipts: " + ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) + ".")
            if not demonstration.say_what_is_open(client, _say_indented):
                say.print("By now nothing waits: every service has heard what it needed.")
            report = client.get("reporting", "/v1/aggregates", [("by", name) for name in demonstration.DIMENSIONS])
        with nullcontext() if once else suppress(KeyboardInterrupt):  # from the report on, Ctrl-C is how it ends
            if as_json:
                print(json.dumps(report, ensure_ascii=False), flush=True)
            else:
                print_demo(report)
            if not once:
                _say_addresses(sampan)
                _stay_up(sampan, "Stop it with Ctrl-C; the demo's data are removed then.")


@app.command(epilog="Example: `sampan post events.ndjson --server https://skills.example.org --token sampan_kh_...`")
def post(
    files: Annotated[list[Path], typer.Argument(help="Files of events: .ndjson (one to a line) or .json.")],
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """Post events, each to the service that owns its type; exit 1 if any was rejected. Posting twice is safe."""
    lines = [line for file in files for line in read_events(file)]
    table = Table("file", "line", "event", "status", "code", "what it means", box=None, header_style="bold")
    counts: Counter[str] = Counter()
    try:
        with _client(server, token, data) as client, Progress(console=say, transient=True) as progress:
            task = progress.add_task("Posting", total=len(lines))
            for batch in batches(lines):
                for line, receipt in zip(batch, client.post_events(batch)["receipts"], strict=True):
                    counts[receipt["status"]] += 1
                    standing = receipt.get("current") or receipt
                    if receipt["status"] == "rejected" or standing["status"] != "accepted":
                        row = (receipt["status"], standing["code"], standing["sentence"])
                        table.add_row(line.file, str(line.place), receipt.get("id") or "-", *row)
                progress.advance(task, len(batch))
    finally:  # what was answered before the line broke is worth knowing
        if table.row_count:
            wide(Console()).print(table)
        if counts:
            said = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
            print(
                f"{counts.total()} of {len(lines)} events: {said}"
                if counts.total() < len(lines)
                else f"{len(lines)} events: {said}"
            )
    if counts["rejected"]:
        raise typer.Exit(1)


@app.command(epilog="Example: `sampan report --measure enrolled --by sex --where country=KH --from 2025-01`")
def report(
    measure: Annotated[list[str] | None, typer.Option(help="What to count; all measures without it.")] = None,
    by: Annotated[list[str] | None, typer.Option(help="Dimensions to break it down by.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="Only these, as dimension=value.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First month, YYYY-MM.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last month, YYYY-MM.")] = None,
    form: Annotated[Format, typer.Option("--format")] = Format.TABLE,
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """The aggregates, as a table, JSON or CSV."""
    parameters = [("measure", name) for name in measure or []] + [("by", name) for name in by or []]
    for condition in where or []:
        name, equals, value = condition.partition("=")
        if not equals:
            raise ClientError(f"--where {condition}: write it as dimension=value, such as country=KH.")
        parameters.append((name, value))
    parameters += [(name, month) for name, month in (("from", first), ("to", last)) if month]
    with _client(server, token, data) as client:
        answer = client.get("reporting", "/v1/aggregates", parameters)
    if form is Format.JSON:
        print(json.dumps(answer, ensure_ascii=False, indent=2))
    elif form is Format.CSV:
        writer = csv.DictWriter(sys.stdout, [*answer["by"], *answer["measures"]])
        writer.writeheader()
        writer.writerows(answer["rows"])
    else:
        print_table(answer, answer["measures"])


@app.command(epilog="Example: `sampan check`")
def check(server: Server = HERE, token: Token = None, data: Data = DATA) -> None:
    """Have every service recompute what it holds; exit 1 on any difference, naming it (administrator).

    States are compared with their events, streams with journals, rows with facts, the cube with a recount; also while events
    come in.
    """
    with _client(server, token, data) as client:
        differences = upkeep.check(client, _say_indented)
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
    """Empty reporting's rows and cube and make them anew from the streams (administrator).

    Figures are incomplete meanwhile; every answer says up to which position they go.
    """
    with _client(server, token, data) as client:
        same = upkeep.rebuild_reporting(client, _say_indented)
        if same is None:
            say.print("Events came meanwhile, so the cube has moved on: it is compared with a recount instead.")
            same = not upkeep.check(client, _say_indented)
    print(f"{service.value} is rebuilt; the cube is {'the same' if same else 'not the same'} as before.")
    if not same:
        raise typer.Exit(1)


@deadletter_app.command("list", epilog="Example: `sampan deadletters list`")
def deadletters_list(server: Server = HERE, token: Token = None, data: Data = DATA) -> None:
    """Every service's messages that no handler could settle, without their bodies."""
    table = Table("service", "id", "message", "subject", "error", "since", "kept until", box=None, header_style="bold")
    with _client(server, token, data) as client:
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
    with _client(server, token, data) as client:
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
    with _client(server, token, data) as client:
        for number in numbers or upkeep.numbers_of(client, service.value):
            why = upkeep.replay(client, service.value, number)
            failed += why is not None
            print(f"{service.value} {number}: {why or 'replayed, and removed'}")
    if failed:
        raise typer.Exit(1)


@app.command(epilog="Example: `sampan simulate --trainees 200 --seed 7 --output events.ndjson`")
def simulate(
    trainees: Annotated[int, typer.Option(min=1, max=1_000_000, help="Enrolments in all; about nine events each.")],
    seed: Annotated[int, typer.Option(help="The same seed makes the same events.")] = 1,
    output: Annotated[Path | None, typer.Option(help="The file to write; standard output without it.")] = None,
) -> None:
    """Make invented programmes, one event to a line, for load and for trying things out.

    Show them with `sampan demo --events FILE`, or take them up with `sampan post FILE`.
    """
    try:
        with open(output, "w", encoding="utf-8") if output else nullcontext(sys.stdout) as file:
            for event in simulated(trainees, seed):
                file.write(json.dumps(event, ensure_ascii=False) + "\n")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ClientError(f"{output} cannot be written: {error.strerror or error}.") from None


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
    country, code = _office(office)
    if credentials is not None and credentials.exists():
        raise ClientError(f"{credentials} is there already: name another file for the credentials.")
    body = {
        "office": f"/offices/{country}/{code}",
        "name": name,
        "roles": role,
        "officer": officer,
        "expires_days": days,
    }
    with _client(server, token, data) as client:
        added = client.add_office(body)
        enrolment, certification = client.address("enrolment"), client.address("certification")
        reporting = client.address("reporting")
    nats = added["nats"]
    where = "below" if credentials is None else f"in {credentials}"
    if credentials is not None:
        _write_credentials(credentials, nats["credentials"])
    print(
        f"""
HAND-OVER SHEET for {officer} of {name}

  Office      /offices/{country}/{code}   (the source of every event you post)
  Roles       {", ".join(role)}
  Token       {added["token"]}
  Expires     {added["expires"]}

  Post events to      {enrolment}/v1/events       (programmes, cohorts, trainees)
                      {certification}/v1/events       (schemes, assessments, certificates)
  See the figures at  {reporting}/
  Or post over NATS   {nats["url"]}, on intake.enrolment.{country}.{code} and intake.certification.{country}.{code}
    with              the credentials {where}, inbox prefix {nats["inbox_prefix"]}
    receipts          stream RECEIPTS, durable {nats["durable"]}

  1. Keep token and credentials where only you can read them. They are shown this once, and nobody can look them up.
  2. Post a file of events, one JSON event to a line:
       export SAMPAN_TOKEN='...the token...'
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
    with _client(server, token, data) as client:
        offices = list(client.every("enrolment", "/v1/offices"))
    table = Table("office", "name", "roles", "status", "officers", box=None, header_style="bold")
    for line in offices:
        officers = ", ".join(f"{token['officer']} (until {token['expires'][:10]})" for token in line["tokens"])
        table.add_row(line["office"], line["name"], ", ".join(line["roles"]), line["status"], officers)
    wide(Console()).print(table)


@office_app.command("revoke", epilog="Example: `sampan office revoke kh/dgtvet`")
def office_revoke(
    office: Annotated[str, typer.Argument(help="Country and code, such as kh/dgtvet.")],
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """Revoke an office with all its officers' tokens and NATS credentials. What it posted stays."""
    country, code = _office(office)
    with _client(server, token, data) as client:
        client.revoke_office(country, code)
    print(
        f"/offices/{country}/{code} is revoked: enrolment refuses its tokens at once, the other services and the broker as\n"
        "soon as they hear of it (normally within a second; while the broker is away, when it is back)."
    )


def main() -> None:
    """Run the command; a user's mistake gets a sentence, never a traceback."""
    try:
        app(prog_name="sampan")
    except (ClientError, StandaloneError) as error:
        say.print(f"sampan: {error}", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone (`sampan report | head`); there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _client(server: str, token: str | None, data: Path) -> Iterator[Client]:
    if token is None:
        # This machine's administrator is nobody's business elsewhere: the token goes nowhere else by itself.
        if urlsplit(server).hostname not in {"127.0.0.1", "localhost", "::1"}:
            raise ClientError(f"Give your token for {server} with --token or SAMPAN_TOKEN.")
        try:
            token = (data / "admin-token").read_text().strip()
        except OSError:
            raise ClientError(
                f"Give your office's token with --token or SAMPAN_TOKEN (there is no administrator's token in {data}/)."
            ) from None
    if not token.isascii() or not token.isprintable():
        raise ClientError("The token holds characters that no token has. Copy it again from the hand-over sheet.")
    with Client(server, token) as client:
        yield client


def _office(text: str) -> tuple[str, str]:
    country, slash, code = text.removeprefix("/offices/").partition("/")
    if not slash or not re.fullmatch(SOURCE_PATTERN, f"/offices/{country}/{code}"):
        raise ClientError(f"{text}: name the office by country and code in small letters, such as kh/dgtvet.")
    return country, code


def _write_credentials(path: Path, text: str) -> None:
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    except OSError as error:
        # The office is registered by now: what it was given must not be lost.
        print(text)
        say.print(f"{path} cannot be written ({error.strerror}): the credentials are above.", markup=False)


def _stay_up(sampan: Standalone, until: str) -> None:
    say.print(until)
    sampan.wait()
    say.print("Stopping ...")


def _say_indented(text: str) -> None:
    say.print(f"  {text}", markup=False)


def _say_addresses(sampan: Standalone) -> None:
    say.print(
        f"Sampan runs, with its data in {sampan.folder}:\n"
        f"  enrolment      {sampan.urls['enrolment']}\n"
        f"  certification  {sampan.urls['certification']}\n"
        f"  reporting      {sampan.urls['reporting']}   (open it in a browser)\n"
        f"  NATS           {sampan.nats.url}\n"
        f"The administrator's token is in {sampan.folder / 'admin-token'}; the page in the browser asks for it.",
        markup=False,
    )
