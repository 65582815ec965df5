"""Rosters on the command line: a progress bar, a table of the rows that need somebody, and what else there is to say."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from services.client import Client, RefusedError
from services.commands.options import say
from services.errors import ClientError
from services.printing import wide
from services.rosters import Rejected, Roster, Wishes
from shared.rosters.answers import RowAnswer
from shared.rosters.cells import OFFERS

Accept = Annotated[
    list[str] | None, typer.Option(help=f"Corrections to accept in rosters: {', '.join(OFFERS)}; repeatable.")
]
Receipts = Annotated[
    Path | None, typer.Option(help="Write the roster with a receipt beside each row to this .xlsx file.")
]
OnlySheets = Annotated[
    list[str] | None, typer.Option("--sheet", help="Only this sheet of a roster; for a .csv file, what it holds.")
]
Encoding = Annotated[str | None, typer.Option(help="How a .csv file was saved, if it cannot be told.")]
Source = Annotated[str | None, typer.Option(help="Whose roster it is, as /offices/kh/ntti (administrator).")]


def post_rosters(client: Client, rosters: Sequence[Roster | Rejected], wishes: Wishes, receipts: Path | None) -> bool:
    """Post spreadsheets, and print what became of their rows. Whether any row was rejected, or nothing was for this office.

    A roster of a bundle that is rejected as a whole keeps no other one back.
    """
    table = Table("file", "sheet", "row", "column", "status", "code", "what it means", box=None, header_style="bold")
    rejected = False
    said: list[str] = []
    try:
        for roster in rosters:
            if isinstance(roster, Rejected):
                rejected = True
                _tell_rejected(table, roster)
                continue
            try:
                rows, notes, counts = _post(client, roster, wishes, table)
            except RefusedError as refused:
                if roster.brought is None or refused.status not in OF_THE_ROSTER:
                    raise
                rejected = True
                _tell_rejected(table, Rejected(roster.brought, refused.code, refused.message))
                continue
            said += notes
            rejected |= counts["rejected"] > 0 or not counts.total()
            if receipts is not None:
                _write(receipts, roster.with_receipts(rows))
                said.append(f"Receipts are in {receipts}.")
    finally:  # what was answered before the line broke is worth knowing
        if table.row_count:
            wide(Console()).print(table)
        for line in said:
            print(line)
    return rejected


def _post(
    client: Client, roster: Roster, wishes: Wishes, table: Table
) -> tuple[list[RowAnswer], list[str], Counter[str]]:
    name = roster.path.name
    rows: list[RowAnswer] = []
    notes: list[str] = []
    counts: Counter[str] = Counter()
    changes: Counter[str] = Counter()
    offers: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    with Progress(console=say, transient=True) as progress:
        task = progress.add_task(name, total=0)
        for _, line in roster.post(client, wishes):
            if line["line"] == "begin":
                progress.update(task, total=(progress.tasks[task].total or 0) + line["total"])
            elif line["line"] == "row":
                row = RowAnswer.model_validate(line)
                rows.append(row)
                progress.advance(task)
                _tell(table, name, row)
            elif line["line"] == "left":
                notes.append(f"{name}, {line['sheet']}: {line['sentence']}")
            elif line["line"] == "missing":
                missing[line["kind"]] += 1
                if missing[line["kind"]] <= MISSING_SHOWN:
                    notes.append(f"{name}: {_missing(line)}")
            else:
                counts.update(line["counts"])
                changes.update(line["changes"])
                offers.update(line["accept"])
    for kind, number in missing.items():
        if number > MISSING_SHOWN:
            notes.append(f"{name}: and {number - MISSING_SHOWN} more rows of {kind} that earlier files had.")
    notes += [
        f"{number} of these rows would be right with --accept {word}: {OFFERS[word]}" for word, number in offers.items()
    ]
    would = "would be " if wishes.dry_run else ""
    statuses = ", ".join(f"{number} {would}{status}" for status, number in sorted(counts.items())) or "nothing for you"
    corrected = f" ({changes['corrected']} corrected)" if changes["corrected"] else ""
    notes.append(
        f"{name}: {counts.total()} rows: {statuses}{corrected}." + (" Nothing was taken." if wishes.dry_run else "")
    )
    return rows, notes, counts


OF_THE_ROSTER = (400, 403, 413)
"""Statuses of a no to one roster of a bundle, such as to a key that has ended since; what follows may be taken."""
MISSING_SHOWN = 20
"""Rows of earlier files that are named one by one."""


def _tell(table: Table, name: str, row: RowAnswer) -> None:
    if row.status in ("accepted", "duplicate") and row.code != "voided":
        return
    for remark in row.remarks():
        offer = f" Offered: {remark.offer.value}." if remark.offer else ""
        means = f"{remark.sentence}{offer} {remark.todo}".strip()
        table.add_row(name, row.sheet, str(row.row), remark.column or "-", row.status, remark.code, means)


def _tell_rejected(table: Table, rejected: Rejected) -> None:
    file, place, _ = rejected.brought
    table.add_row(file, "-", f"line {place}", "-", "rejected", rejected.code, rejected.sentence)


def _missing(line: dict[str, Any]) -> str:
    who = f"trainee {line['number']} of {line['cohort']}" if line["number"] else line["cohort"]
    part = f" ({line['part']})" if line["part"] else ""
    return f"an earlier file had {who}{part} among {line['kind']}, this one has not: what it said stands."


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ClientError(f"{path} cannot be written: {error.strerror or error}. The roster was taken.") from None
