"""`sampan post`: what offices send."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from services import outgoing
from services.client import Client
from services.commands.options import DATA, HERE, Data, Server, Token, connected, say
from services.commands.rosters import Accept, Encoding, OnlySheets, Receipts, Source, post_rosters
from services.errors import ClientError
from services.eventfiles import Line, batches, read_events
from services.printing import counted_events, wide
from services.rosters import SUFFIXES, Rejected, Roster, Wishes, read_roster, rosters_in
from shared import bundles

app = typer.Typer()


@app.command(epilog="Example: `sampan post events.ndjson --server https://skills.example.org --token sampan_kh_...`")
def post(
    files: Annotated[
        list[Path],
        typer.Argument(help="Events (.ndjson or .json), bundles of them, or rosters (.xlsx, .ods, .csv, .tsv)."),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would become of each event or row, and take nothing.")
    ] = False,
    offline: Annotated[
        Path | None, typer.Option(help="Send nothing: sign it all and add it to this bundle, to be posted later.")
    ] = None,
    credentials: Annotated[
        Path | None, typer.Option(envvar="SAMPAN_CREDENTIALS", help="NATS credentials to sign with, for --offline.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Send all, also what an interrupted post had answered.")
    ] = False,
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
    accept: Accept = None,
    receipts: Receipts = None,
    sheet: OnlySheets = None,
    encoding: Encoding = None,
    source: Source = None,
) -> None:
    """Post events and rosters, each part to the service that takes it; exit 1 if any was rejected. Posting twice is safe.

    Without a connection, `--offline BUNDLE` signs events and rosters and keeps them in a file, which anybody may post from
    anywhere, in any order and any number of times: they count as the signing office's. A post that was interrupted goes on
    where it stopped.
    """
    rosters = [file for file in files if file.suffix.lower() in SUFFIXES]
    events = [file for file in files if file not in rosters]
    wishes = Wishes(dry_run, accept or (), sheet or (), encoding, source)
    if events and wishes != Wishes(dry_run):
        raise ClientError("--accept, --sheet, --encoding and --source are for rosters. Post events by themselves.")
    if offline is not None:
        if dry_run or receipts or source:
            raise ClientError(
                "--offline only signs: --dry-run, --receipts and --source are for when there is a connection."
            )
        if _sign(events, [(read_roster(file, wishes), wishes) for file in rosters], credentials, offline):
            raise typer.Exit(1)
        return
    if receipts and len(rosters) != 1:
        raise ClientError("--receipts writes one spreadsheet: post one roster at a time.")
    rejected = False
    read = [read_roster(file, wishes) for file in rosters]
    lines, brought = _found_in(events)
    if read:
        with connected(server, token, data) as client:
            rejected = post_rosters(client, read, wishes, receipts)
    if events:
        if dry_run:
            rejected |= _try_out(lines, [one for one in brought if isinstance(one, Rejected)])
            if signed := sum(isinstance(one, Roster) for one in brought):
                print(f"{signed} signed rosters would be sent as they are.")
        else:
            with connected(server, token, data) as client:
                rejected |= _post(client, server, lines, again=again) if lines else False
                rejected |= post_rosters(client, brought, Wishes(), None) if brought else False
    if rejected:
        raise typer.Exit(1)


def _found_in(files: Sequence[Path]) -> tuple[list[Line], list[Roster | Rejected]]:
    """The events and the rosters in files of events and in bundles. Raises ClientError, also where there is neither."""
    lines: list[Line] = []
    rosters: list[Roster | Rejected] = []
    for file in files:
        found, brought = read_events(file), rosters_in(file) if file.suffix != ".json" else []
        if not found and not brought:
            raise ClientError(f"{file} holds no event and no roster. Nothing was sent.")
        lines += found
        rosters += brought
    return lines, rosters


def _post(client: Client, server: str, lines: Sequence[Line], *, again: bool) -> bool:
    """Whether any event was rejected."""
    answered = outgoing.Answered(server, lines)
    if again:
        answered.forget()
    elif before := answered.load():
        say.print(
            f"{before} of {counted_events(len(lines))} were answered before this was interrupted: going on with the others."
        )
    table = Table("file", "line", "event", "status", "code", "what it means", box=None, header_style="bold")
    counts: Counter[str] = Counter()
    left = answered.left()
    try:
        with Progress(console=say, transient=True) as progress:
            task = progress.add_task("Posting", total=len(lines), completed=len(lines) - len(left))
            service = None
            for batch in batches(left):
                if (service, batch[0].service) == ("enrolment", "certification"):
                    client.wait_until_certification_heard()  # or an award would meet a completion that is not known there yet
                service = batch[0].service
                receipts = client.post_events(batch)["receipts"]
                answered.add(batch, [receipt["status"] for receipt in receipts])
                for line, receipt in zip(batch, receipts, strict=True):
                    counts[receipt["status"]] += 1
                    _add_row(table, line, receipt)
                progress.advance(task, len(batch))
    finally:  # what was answered before the line broke is worth knowing
        if table.row_count:
            wide(Console()).print(table)
        if counts:
            said = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
            print(
                f"{counts.total()} of {counted_events(len(lines))}: {said}"
                if counts.total() < len(lines)
                else f"{counted_events(len(lines))}: {said}"
            )
        if unsent := answered.left():
            say.print(
                f"{counted_events(len(unsent))} not sent yet: {outgoing.named(unsent)}. "
                "Give the same command again to send them.",
                markup=False,
            )
        else:
            answered.forget()
        if client.token_expires:
            say.print(
                f"Your token ends on {client.token_expires[:10]}: get a new one with `sampan token rotate`.",
                markup=False,
            )
    return counts["rejected"] > 0


def _add_row(table: Table, line: Line, receipt: dict[str, Any]) -> None:
    standing = receipt.get("current") or receipt
    if receipt["status"] == "rejected" or standing["status"] != "accepted":
        row = (receipt["status"], standing["code"], standing["sentence"])
        table.add_row(line.file, str(line.place), receipt.get("id") or "-", *row)


def _try_out(lines: Sequence[Line], rosters: Sequence[Rejected]) -> bool:
    """Whether any event would be rejected, or any roster of a bundle would; those are known already."""
    table = Table("file", "line", "event", "code", "what it means", box=None, header_style="bold")
    for line, event, code, sentence in outgoing.try_out(lines):
        table.add_row(line.file, str(line.place), event or "-", code, sentence)
    flawed = table.row_count
    for brought, code, sentence in rosters:
        table.add_row(brought.file, str(brought.place), "-", code, sentence)
    if table.row_count:
        wide(Console()).print(table)
    for service in ("enrolment", "certification"):
        if number := sum(line.service == service for line in lines):
            print(f"{counted_events(number)} would go to {service}.")
    print(f"{flawed} of {counted_events(len(lines))} would be rejected. Nothing was sent.")
    return table.row_count > 0


def _sign(
    events: Sequence[Path], rosters: Sequence[tuple[Roster, Wishes]], credentials: Path | None, bundle: Path
) -> bool:
    """Whether anything was left out, because it is not as it was signed."""
    if credentials is None:
        raise ClientError("Name the officer's NATS credentials file with --credentials: it all is signed with it.")
    now = datetime.now(UTC)
    signed: list[bundles.Roster | bytes] = [
        bundles.Roster(roster.path.name, roster.content, now, wishes.accept, wishes.sheets, wishes.encoding)
        for roster, wishes in rosters
    ]
    lines, brought = _found_in(events)
    signed += [one.brought.line for one in brought if isinstance(one, Roster) and one.brought]
    if lines:
        added = outgoing.sign(lines, credentials, bundle)
        print(f"{counted_events(added)} added to {bundle}; {len(lines) - added} in it already.")
    if signed:
        added = outgoing.sign_rosters(signed, credentials, bundle)
        print(f"{added} rosters were added to {bundle}, {len(signed) - added} were in it.")
    rejected = [one for one in brought if isinstance(one, Rejected)]
    for (file, place, _), _code, sentence in rejected:
        say.print(f"{file}, line {place}: {sentence} This roster was not added.", markup=False)
    print(
        f"Post it from anywhere: sampan post {bundle}\n"
        "It holds what was added, names among it: hand it on as you would hand on the list."
    )
    return bool(rejected)
