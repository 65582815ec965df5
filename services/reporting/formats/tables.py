"""Figures as a text table: CSV after RFC 4180, in which no text is a formula."""

import csv
import io
from collections.abc import Mapping, Sequence

from services.reporting.formats import Figures, Place

Titles = Mapping[str, Mapping[str, str]]
"""By dimension and code, what the code means in one language."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def header(figures: Figures, titles: Titles) -> list[str]:
    """The names of the columns: each dimension, beside it what it means if somebody asked, and the measures."""
    columns = []
    for name in figures.by:
        columns += [name, f"{name}_title"] if name in titles else [name]
    return [*columns, *figures.measures]


def lines(figures: Figures, titles: Titles) -> list[list[Place]]:
    """The rows in the order of the columns."""
    found = []
    for row in figures.rows:
        line: list[Place] = []
        for name in figures.by:
            line.append(row[name])
            if name in titles:
                line.append(titles[name].get(str(row[name]), ""))
        found.append([*line, *(row[name] for name in figures.measures)])
    return found


def write(figures: Figures, titles: Titles) -> bytes:
    """UTF-8, lines ended as the RFC says. A hidden figure is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header(figures, titles))
    writer.writerows(map(inert, lines(figures, titles)))
    return text.getvalue().encode()


def inert(line: Sequence[Place]) -> list[Place]:
    """With an apostrophe before each text that a spreadsheet program would take for a formula (OWASP, CSV injection)."""
    return [f"'{place}" if isinstance(place, str) and place.startswith(_FORMULA) else place for place in line]
