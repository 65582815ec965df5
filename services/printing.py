"""Reports and lists as tables on a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table


def wide(console: Console) -> Console:
    """The console, or one without a width to heed: in a file or a pipe rich would cut a table to 80 columns."""
    return console if console.is_terminal else Console(width=200)


def print_demo(report: dict[str, Any]) -> None:
    """What the demo shows: the measures that count something, and a sentence."""
    totals = report["totals"]
    women = sum(row["enrolled"] for row in report["rows"] if row["sex"] == "F")
    shown = [name for name in report["measures"] if totals[name] and name not in {"places", "people"}]
    print_table(report, shown)
    print(
        f"{totals['enrolled']} enrolled, {women} of them women; {totals['completed']} completed; "
        f"{totals['certified']} certified; {totals['nominated']} nominated.",
        flush=True,  # it stays up now, and whoever reads through a pipe wants to see it
    )


def print_table(report: dict[str, Any], measures: list[str]) -> None:
    """A report with its totals; rows in which nothing is counted are left out."""
    table = Table(box=None, header_style="bold", show_footer=bool(report["by"]), footer_style="bold")
    for position, name in enumerate(report["by"]):
        table.add_column(name.replace("_", " "), footer="all" if position == 0 else "")
    for name in measures:
        table.add_column(name.replace("_", " "), footer=_number(report["totals"].get(name)), justify="right")
    for row in report["rows"]:
        if any(row.get(name) for name in measures):
            table.add_row(*(str(row[name]) for name in report["by"]), *(_number(row.get(name)) for name in measures))
    wide(Console()).print(table)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:g}" if value == int(value) else f"{value:.2f}"
