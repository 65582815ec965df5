"""The figures as a table: on the terminal, and in its place in docs/performance.md."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figures import NOT_TAKEN, figures

_BEGIN, _END = "<!-- table: written by make bench -->", "<!-- end of table -->"
_HEADINGS = ("", "median", "lowest", "highest", "target", "met")
_MET = {True: "yes", False: "no", None: ""}
_VALUES = ("median", "lowest", "highest")

PARTS = {
    "rounds": "the rounds (the program, bare loops, peers, latency, readers)",
    "soak": "the soak",
    "reads": "a million beside ten thousand",
    "remaking": "the rebuild",
    "page": "the open dashboard",
    "issuing": "certificates",
}


def show(results: dict[str, Any]) -> None:
    """Print the table."""
    table = Table(*_HEADINGS, box=None, header_style="bold")
    for row in _rows(results):
        table.add_row(*row)
    console = Console(width=130, highlight=False)
    console.print(table)
    for line in taken_on(results):
        console.print(line)


def write_page(page: Path, results: dict[str, Any]) -> None:
    """Put the table into its place in a page."""
    rows = "\n".join(f"| {' | '.join(row)} |" for row in (_HEADINGS, ["---"] * len(_HEADINGS), *_rows(results)))
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    notes = "\n".join(f"- {line}" for line in taken_on(results))
    page.write_text(f"{before}{begin}\n{rows}\n\n{notes}\n{end}{after}", encoding="utf-8")


def taken_on(results: dict[str, Any]) -> list[str]:
    """Of each part: when it was taken, of what, on which machine, and what else that had to do. And what is lost or doubled."""
    lines = []
    for name, title in PARTS.items():
        part = results["parts"].get(name)
        if part is None:
            lines.append(f"{title}: {NOT_TAKEN}.")
            continue
        machine, average = part["machine"], part["load average"]
        lines.append(
            f"{title}: {part['taken'][:16].replace('T', ' ')} UTC, version {part['versions']['sampan']}, "
            f"{machine['cores']} x {machine['processor']}, {machine['memory'] / 2**30:.0f} GB; load average "
            f"{average['before']:.1f} before, {average['after']:.1f} after; {part['seconds'] / 60:.1f} minutes"
            f"{_of_what(name, part)}."
        )
    counts = " and ".join(
        f"{name}: {NOT_TAKEN if results[name] is None else results[name]}" for name in ("lost", "doubled")
    )
    return [*lines, f"events and awards of the program, in all rounds and the soak: {counts}."]


def _of_what(name: str, part: dict[str, Any]) -> str:
    match name:
        case "rounds":
            load, sizes = part["load"], part["sizes"]
            skipped = "".join(f". {why.removesuffix('.')}" for why in part["rounds"][0]["skipped"].values())
            return (
                f"; {len(part['rounds'])} rounds of {load['events']:,} events in {load['posts']} posts, peers with the first "
                f"{sizes['prefix']:,} of them, the floor with {sizes['floor']:,}, {sizes['readers']} live readers{skipped}"
            )
        case "soak":
            minutes, window = part["minutes"], part["window seconds"] / 60
            return f"; {minutes:g} minutes, compared in windows of {window:.3g}, {part['events']:,} events"
        case "reads":
            return f"; {', '.join(f'{size:,}' for size in part['enrolments'])} enrolments"
        case _:
            return ""


def _rows(results: dict[str, Any]) -> list[list[str]]:
    rows = []
    for name, figure in figures(results["parts"]).items():
        if absent := figure.get("absent"):
            rows.append([name, absent, "", "", figure.get("target", ""), ""])
            continue
        values = [_said(figure[key]) for key in _VALUES]
        rows.append([name, *values, figure.get("target", ""), _MET[figure.get("met")]])
    return rows


def _said(value: float) -> str:
    if abs(value) < 1:
        return f"{value:g}"
    return f"{value:,.2f}" if abs(value) < 20 else f"{value:,.0f}"
