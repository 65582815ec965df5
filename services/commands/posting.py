"""`sampan post`: what offices send."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from services.client import batches, read_events
from services.commands.options import DATA, HERE, Data, Server, Token, connected, say
from services.printing import wide

app = typer.Typer()


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
    if counts["rejected"]:
        raise typer.Exit(1)
