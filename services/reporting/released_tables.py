"""The tables that are published, all of them, and how a programme's figures become their rows. No I/O."""

from collections.abc import Mapping

from services.reporting.disclosure import MEASURES, Place, Shown

PROGRAMMES = "programmes"
TABLES: Mapping[str, tuple[str, str]] = {
    PROGRAMMES: ("", "Each programme's own figures."),
    "countries": ("country", "By the country that sent the trainee."),
    "sexes": ("sex", "By the trainee's sex."),
    "roles": ("role", "By what the trainee is: student, teacher, worker, official or coach."),
    "trades": ("trade", "By the trainee's trade."),
    "starts": ("start_month", "By the month in which the cohort was to start."),
}
"""Each by its name: the dimension beside the programme, and what it shows."""
RATES: Mapping[str, tuple[str, str]] = {
    "completion_rate": ("completed", "started"),
    "pass_rate": ("passed", "assessed"),
    "certification_rate": ("certified", "assessed"),
}
"""Percentages: of what, and of how many. Only what is shown on both sides makes one, so it tells nothing more than they do."""

Row = dict[str, str | int | float | None]


def rows(table: str, programmes: Mapping[str, Shown]) -> list[Row]:
    """A table's rows as they are published; what is hidden is None."""
    dimension, _ = TABLES[table]
    found: list[Row] = []
    for programme, shown in sorted(programmes.items()):
        if dimension:
            values = sorted(shown.tables[table])
            found += [_row({"programme": programme, dimension: value}, shown, table, value) for value in values]
        else:
            found.append(_row({"programme": programme}, shown, "", ""))
    return found


def _row(place: Mapping[str, str], shown: Shown, table: str, value: str) -> Row:
    row: Row = dict(place)
    counts: dict[str, int | None] = {}
    for measure in MEASURES:
        cell = Place(measure, table, value)
        counts[measure] = shown.value(cell) if shown.knows(cell) else None
    row.update(counts)
    for name, (part, whole) in RATES.items():
        numerator, denominator = counts[part], counts[whole]
        row[name] = round(100 * numerator / denominator, 1) if numerator is not None and denominator else None
    return row
