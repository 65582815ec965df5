"""Reports and lists as tables on a terminal."""

from typing import Any

from rich.bar import Bar
from rich.console import Console
from rich.table import Table

BAR_WIDTH = 24


def wide(console: Console) -> Console:
    """The console, or one without a width to heed: in a file or a pipe rich would cut a table to 80 columns."""
    return console if console.is_terminal else Console(width=200)


def counted_events(number: int) -> str:
    """As in "1 event" and "86 events"."""
    return f"{number} event" if number == 1 else f"{number} events"


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


def print_table(report: dict[str, Any], measures: list[str], *, bars: bool = False) -> None:
    """A report with its totals; rows in which nothing is counted are left out. With ``bars``, of the first measure beside it."""
    console = wide(Console())
    table = Table(box=None, header_style="bold", show_footer=bool(report["by"]), footer_style="bold")
    for position, name in enumerate(report["by"]):
        table.add_column(name.replace("_", " "), footer="all" if position == 0 else "")
    for name in measures:
        table.add_column(name.replace("_", " "), footer=_cell(report["totals"], name), justify="right")
    rows = [row for row in report["rows"] if any(row.get(name) for name in measures)]
    barred = bars and report["by"] and measures
    most = max((row.get(measures[0]) or 0 for row in rows), default=0) if barred else 0
    if most:
        table.add_column(measures[0].replace("_", " "), min_width=BAR_WIDTH)
    for row in rows:
        cells = [*(str(row[name]) for name in report["by"]), *(_cell(row, name) for name in measures)]
        drawn = [Bar(most, 0, row.get(measures[0]) or 0, width=BAR_WIDTH)] if most else []
        table.add_row(*cells, *drawn)
    console.print(table)


def _cell(row: dict[str, Any], name: str) -> str:
    """A count; or a rate in percent, with its two counts."""
    if (whole := row.get(f"{name}_denominator")) is None:
        return _number(row.get(name))
    return f"{row[name]:.1%} ({row[f'{name}_numerator']}/{whole})" if whole else "-"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return str(int(value)) if value == int(value) else f"{value:.2f}"
