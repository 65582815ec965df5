"""The figures of all rounds, and what they should be."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

SERVICES = ("enrolment", "certification", "reporting")
BARE_SHARE, FLOOR_TIMES, LATENCY_MS, MEMORY_MB = 0.3, 5, 300, 200
"""The targets: at least, at least, less than, less than."""
ISSUED_A_SECOND, VERIFICATION_MS = 300, 10
"""At least; less than."""
READ_TIMES, READ_MS, FLOWING_TIMES, REBUILT_TIMES, SHOWN_MS = 1.5, 15, 2, 2, 1000
"""Less than, less than, less than, at least, less than."""

Figure = dict[str, Any]


def summary(rounds: Sequence[dict[str, Any]]) -> dict[str, Figure]:
    """Per figure the median and the range over the rounds, and its target if it has one."""
    figures: dict[str, Figure] = {
        f"{name} (events/s)": _over(rounds, lambda taken, name=name: taken["rates"][name])  # type: ignore[misc]
        for name in rounds[0]["rates"]
    }
    figures["program / bare"] = _over(rounds, _ratio("bare"), at_least=BARE_SHARE)
    figures["program / floor"] = _over(rounds, _ratio("floor"), at_least=FLOOR_TIMES)
    one_by_one = "program, one event a POST"
    figures["program / one event a POST"] = _over(rounds, _ratio(one_by_one), at_least=FLOOR_TIMES)
    for way in rounds[0]["latency"]:
        times = [time for taken in rounds for time in taken["latency"][way]]
        at = quantiles(times, n=100, method="inclusive")
        for name, value in (("p50", at[49]), ("p99", at[98])):
            figures[f"POST to report by {way}, {name} (ms)"] = _figure(
                [value], min(times), max(times), less_than=LATENCY_MS
            )
    for service in SERVICES:
        megabytes = _over(
            rounds,
            lambda taken, service=service: taken["memory"][service] / 2**20,  # type: ignore[misc]
            less_than=MEMORY_MB,
        )
        figures[f"{service}, most memory (MB)"] = megabytes
    return figures


def figures_of(results: dict[str, Any]) -> dict[str, Figure]:
    """Those of the rounds, and those of certificates and of reading where they were taken."""
    figures: dict[str, Figure] = dict(results["summary"])
    if taken := results.get("issuing"):
        rate, times = taken["a second"], taken["verification"]
        figures["certificates issued and signed (a second)"] = _figure([rate], rate, rate, at_least=ISSUED_A_SECOND)
        at = quantiles(times, n=100, method="inclusive")
        for name, value in (("p50", at[49]), ("p99", at[98])):
            target = {"less_than": VERIFICATION_MS} if name == "p50" else {}
            figures[f"verification of one by the API, {name} (ms)"] = _figure([value], min(times), max(times), **target)
    if taken := results.get("reads"):
        figures |= _of_reading(taken)
    return figures


def _of_reading(taken: dict[str, Any]) -> dict[str, Figure]:
    """A figure of several questions is their median, from the least to the most of them; a p99 that of all answers."""
    least, most = (str(end(taken["enrolments"])) for end in (min, max))
    idle, flowing, spent = taken["idle"], taken["flowing"][most], taken["processor"]
    ratios = [idle[most][name]["p50"] / idle[least][name]["p50"] for name in idle[most] if name != "all"]
    figures = {
        f"reading, {int(most):,} / {int(least):,} enrolments": _figure(
            ratios, min(ratios), max(ratios), less_than=READ_TIMES
        ),
        "the same in processor time": _one(spent[most] / spent[least], less_than=READ_TIMES),
    }
    for name, target in (("p50", {}), ("p99", {"less_than": READ_MS})):
        of_each = [times[name] for question, times in idle[most].items() if question != "all"]
        figures[f"reading, {int(most):,} enrolments, idle, {name} (ms)"] = _figure(
            [idle[most]["all"][name]], min(of_each), max(of_each), **target
        )
    times = {name: flowing[name]["p99"] / idle[most][name]["p99"] for name in flowing}
    figures["reading while facts flow in / idle, p99"] = _figure(
        [times["all"]], min(times.values()), max(times.values()), less_than=FLOWING_TIMES
    )
    remade = taken["remaking"]
    figures["rebuild / live (facts)"] = _one(
        remade["rebuilt a second"] / remade["live a second"], at_least=REBUILT_TIMES
    )
    for title, shown, most_ms in (
        ("reading during a rebuild", remade["answers meanwhile"], None),
        ("POST to an open dashboard", taken["page"], SHOWN_MS),
    ):
        at = quantiles(shown, n=100, method="inclusive")
        for name, value in (("p50", at[49]), ("p99", at[98])):
            less_than = most_ms if name == "p99" else None
            figures[f"{title}, {name} (ms)"] = _figure([value], min(shown), max(shown), less_than=less_than)
    return figures


def _one(value: float, **target: float) -> Figure:
    return _figure([value], value, value, **target)


def missed(figures: dict[str, Figure]) -> list[str]:
    """A line for every target that was not met."""
    return [
        f"{name}: {figure['median']:g}, and it should be {figure['target']}"
        for name, figure in figures.items()
        if figure.get("met") is False
    ]


def show(results: dict[str, Any]) -> None:
    """Print the table."""
    table = Table(*_HEADINGS, box=None, header_style="bold")
    for row in _rows(results):
        table.add_row(*row)
    console = Console(width=130, highlight=False)
    console.print(table)
    console.print(_taken_on(results))


def write_page(page: Path, results: dict[str, Any]) -> None:
    """Put the table into its place in a page."""
    rows = "\n".join(f"| {' | '.join(row)} |" for row in (_HEADINGS, ["---"] * len(_HEADINGS), *_rows(results)))
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    page.write_text(f"{before}{begin}\n{rows}\n\n{_taken_on(results)}\n{end}{after}", encoding="utf-8")


_BEGIN, _END = "<!-- table: written by make bench -->", "<!-- end of table -->"
_HEADINGS = ("", "median", "lowest", "highest", "target", "met")
_VALUES = ("median", "lowest", "highest")


def _rows(results: dict[str, Any]) -> list[list[str]]:
    rows = []
    for name, figure in figures_of(results).items():
        values = [f"{figure[key]:,.2f}" if figure["median"] < 20 else f"{figure[key]:,.0f}" for key in _VALUES]
        rows.append([name, *values, figure.get("target", ""), {True: "yes", False: "no"}.get(figure.get("met"), "")])
    return rows


def _taken_on(results: dict[str, Any]) -> str:
    load, machine = results["load"], results["machine"]
    averages = [taken["load average"]["before"] for taken in results["rounds"]]
    text = (
        f"{load['events']:,} events in {load['posts']} posts, {len(averages)} rounds, {results['taken'][:10]}; "
        f"{machine['cores']} x {machine['processor']}, {machine['memory'] / 2**30:.0f} GB; "
        f"load average before each round: {', '.join(f'{average:.1f}' for average in averages)}."
    )
    if taken := results.get("reads"):
        average, spent = taken["load average"], taken["processor"]
        each = ", ".join(f"{spent[str(size)]:.1f} with {size:,}" for size in taken["enrolments"])
        text += (
            f" Reading, rebuilding and the open dashboard: {taken['taken'][:10]}, load average {average['before']:.1f} before "
            f"and {average['after']:.1f} after; processor milliseconds of an answer, with the database's: {each} enrolments."
        )
    return text


def _ratio(to: str) -> Callable[[dict[str, Any]], float]:
    # Within a round, so that what else the machine does weighs on both.
    return lambda taken: float(taken["rates"]["program"] / taken["rates"][to])


def _over(rounds: Sequence[dict[str, Any]], figure: Callable[[dict[str, Any]], float], **target: float) -> Figure:
    values = [figure(taken) for taken in rounds]
    return _figure(values, min(values), max(values), **target)


def _figure(
    values: Sequence[float],
    lowest: float,
    highest: float,
    *,
    at_least: float | None = None,
    less_than: float | None = None,
) -> Figure:
    middle = median(values)
    figure: Figure = {"median": round(middle, 2), "lowest": round(lowest, 2), "highest": round(highest, 2)}
    if at_least is not None:
        figure |= {"target": f">= {at_least:g}", "met": middle >= at_least}
    if less_than is not None:
        figure |= {"target": f"< {less_than:g}", "met": middle < less_than}
    return figure
