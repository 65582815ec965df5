"""Figures as a workbook of a spreadsheet program: the table, what its codes mean, and how it was counted."""

import io
from collections.abc import Mapping
from datetime import UTC, datetime

import xlsxwriter

from services.reporting.domain import DIMENSIONS, MEASURES
from services.reporting.formats import Figures
from services.reporting.formats.tables import Titles, header, lines
from services.reporting.rates import RATES

ROWS = 1_048_575
"""A sheet holds no more below its header."""
CREATED = datetime(2025, 1, 1, tzinfo=UTC).replace(tzinfo=None)
"""Written into every file, so that the same figures are the same bytes."""


def write(figures: Figures, titles: Titles, called: Mapping[str, Titles], notes: list[tuple[str, str]]) -> bytes:
    """``called`` are titles by language, for a sheet of their own; ``notes`` go to the sheet on method."""
    kept = io.BytesIO()
    # Nothing that is text becomes a formula, a number or a link, whatever it begins with.
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(kept, options)
    book.set_properties({"title": "Figures", "created": CREATED})
    bold = book.add_format({"bold": True})
    wrapped = book.add_format({"text_wrap": True, "valign": "top"})

    sheet = book.add_worksheet("Figures")
    columns = header(figures, titles)
    sheet.write_row(0, 0, columns, bold)
    for place, line in enumerate(lines(figures, titles), start=1):
        for column, value in enumerate(line):
            if isinstance(value, str):
                sheet.write_string(place, column, value)
            elif value is not None:
                sheet.write_number(place, column, value)
    sheet.freeze_panes(1, len(columns) - len(figures.measures))
    sheet.autofilter(0, 0, max(len(figures.rows), 1), max(len(columns) - 1, 0))
    sheet.set_column(0, max(len(columns) - 1, 0), 18)

    if called:
        sheet = book.add_worksheet("Codes")
        sheet.write_row(0, 0, ["dimension", "code", *called], bold)
        codes = sorted({(name, str(row[name])) for row in figures.rows for name in figures.by})
        for place, (name, code) in enumerate(codes, start=1):
            texts = (titled.get(name, {}).get(code, "") for titled in called.values())
            for column, value in enumerate([name, code, *texts]):
                sheet.write_string(place, column, value)
        sheet.set_column(0, 1 + len(called), 28)

    sheet = book.add_worksheet("Method")
    method = [
        *notes,
        *((f"{stream}, up to fact", str(position)) for stream, position in figures.position.items()),
        *((f"Only {name}", value) for name, value in figures.asked.items()),
        *((name, MEASURES[name].counts) for name in figures.measures if name in MEASURES),
        *((name, RATES[name].says) for name in figures.measures if name in RATES),
        *((name, DIMENSIONS[name]) for name in figures.by if name in DIMENSIONS),
    ]
    for place, (what, said) in enumerate(method):
        sheet.write_string(place, 0, what, bold)
        sheet.write_string(place, 1, said, wrapped)
    sheet.set_column(0, 0, 26)
    sheet.set_column(1, 1, 100)
    book.close()
    return kept.getvalue()
