"""`sampan post`: what offices send."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from services.client import ClientError, batches, read_events
from services.commands.options import DATA, HERE, Data, Server, Token, connected, say
from services.commands.rosters import Accept, DryRun, Encoding, OnlySheets, Receipts, Source, post_rosters
from services.printing import wide
from services.rosters import SUFFIXES, Wishes, read_roster

app = typer.Typer()


@app.command(epilog="Example: `sampan post events.ndjson --server https://skills.example.org --token sampan_kh_...`")
def post(
    files: Annotated[
        list[Path],
        typer.Argument(help="Events (.ndjson, one to a line, or .json) or rosters (.xlsx, .ods, .csv, .tsv)."),
    ],
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
    dry_run: DryRun = False,
    accept: Accept = None,
    receipts: Receipts = None,
    sheet: OnlySheets = None,
    encoding: Encoding = None,
    source: Source = None,
) -> None:
    """Post events and rosters, each part to the service that takes it; exit 1 if any was rejected. Posting twice is safe."""
    rosters = [file for file in files if file.suffix.lower() in SUFFIXES]
    wishes = Wishes(dry_run, accept or (), sheet or (), encoding, source)
    if rosters != files and wishes != Wishes():
        raise ClientError(
            "--dry-run, --accept, --sheet, --encoding and --source are for rosters. Post events by themselves."
        )
    if receipts and len(rosters) != 1:
        raise ClientError("--receipts writes one spreadsheet: post one roster at a time.")
    if rosters:
        read = [read_roster(file, wishes) for file in rosters]
        with connected(server, token, data) as client:
            rejected = post_rosters(client, read, wishes, receipts)
    else:
        rejected = False
    if rosters != files:
        rejected |= _post_events([file for file in files if file not in rosters], server, token, data)
    if rejected:
        raise typer.Exit(1)


def _post_events(files: Sequence[Path], server: str, token: str | None, data: Path) -> bool:
    """Whether any event was rejected."""
    lines = [line for file in files for line in read_events(file)]
    table = Table("file", "line", "event", "status", "code", "what it means", box=None, header_style="bold")
    counts: Counter[str] = Counter()
    try:
        with connected(server, token, data) as client, Progress(console=say, transient=True) as progress:
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
    return counts["rejected"] > 0
